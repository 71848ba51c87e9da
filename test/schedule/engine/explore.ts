/**
 * Explore: runs a scenario under many schedules, until one fails or the budget is used up.
 *
 *     buffer as laid out ──copy──▶ threads open their handles ──▶ schedule ──▶ check
 *
 * A failure says which strategy and seed (or path of choices) led to it; `replay` runs that schedule again.
 */

import type { Memory } from '../../../src/memory/memory.ts';
import type { Built } from './build.ts';
import type { Site } from './instrument.ts';
import * as races from './races.ts';
import * as runtime from './runtime.ts';
import type { AllowedRace, Scenario } from './scenario.ts';
import { Crashes, Exhaustive, KilledWalk, Pct, RandomWalk } from './strategy.ts';

/** A thread's own modules. */
export interface Copy {
  readonly attach: (buffer: SharedArrayBuffer) => Memory;
  readonly scenarios: Readonly<Record<string, Scenario>>;
}

/** How many schedules of each kind. */
export interface Budget {
  readonly random?: number;
  /** Random ones under which plain accesses are checked for races too. */
  readonly races?: number;
  readonly pct?: number;
  /** PCT's depth. Default 3. */
  readonly depth?: number;
  /** Most preemptions of the exhaustive search. Default: none is made. */
  readonly preemptions?: number;
  /** Where the exhaustive search ends at the latest. */
  readonly most?: number;
  /** The first seed. Default 1. */
  readonly seed?: number;
}

/** A schedule that failed. */
export interface Failure {
  readonly error: Error;
  /** What `replay` takes: `random 17` (or `random 17 races`), `pct 3 60 17`, `crashes 17 3`, `killed 17 60`, `exhaustive 2 17:1 40:2`. */
  readonly schedule: string;
  /** The thread that threw; 0: the check. */
  readonly thread: number;
  readonly trace: string;
}

/** What an exploration came to. */
export interface Explored {
  readonly schedules: number;
  /** Accesses of the longest schedule. */
  readonly longest: number;
  /** Whether all schedules within the bound were run. */
  readonly complete: boolean;
  readonly failure: Failure | undefined;
  /** The allowed races that were seen, by their reasons. */
  readonly allowed: ReadonlySet<string>;
}

const MOST_STEPS = 20_000;

/** A scenario, ready to run under one schedule after the other. */
export class Explorer {
  private readonly copies: readonly Copy[];
  private readonly name: string;
  private readonly sites: Built['sites'];
  private readonly scenario: Scenario;
  private readonly bytes: Uint8Array;
  private readonly laid: Uint8Array;
  private schedules = 0;
  private longest = 0;
  private complete = false;
  private readonly allowed = new Set<string>();
  /** Each thread's views, kept from schedule to schedule. */
  private readonly memories: Memory[];

  constructor(copies: readonly Copy[], sites: Built['sites'], name: string) {
    this.copies = copies;
    this.sites = sites;
    this.name = name;
    const scenario = named(copies[0]!, name);
    if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
    this.scenario = scenario;
    const buffer = new SharedArrayBuffer(scenario.bytes);
    this.bytes = new Uint8Array(buffer);
    this.memories = copies.map((copy) => runtime.drive(copy.attach(buffer)));
    runtime.asThread(0, table(), () => scenario.lay?.(this.memories[0]!));
    this.laid = this.bytes.slice();
  }

  /** Explores until a schedule fails. */
  search(budget: Budget): Explored {
    const failure = this.exhaust(budget) ?? this.walk(budget) ?? this.pct(budget);
    const { schedules, longest, complete, allowed } = this;
    return { schedules, longest, complete, failure, allowed };
  }

  /** Explores. Throws at a schedule that fails, with all that is known of it. */
  explore(budget: Budget): Explored {
    return this.passed(this.search(budget));
  }

  /** Throws when a schedule has failed. */
  passed(explored: Explored): Explored {
    if (explored.failure !== undefined) throw this.described(explored.failure);
    return explored;
  }

  private exhaust({ preemptions, most = Number.POSITIVE_INFINITY }: Budget): Failure | undefined {
    if (preemptions === undefined) return undefined;
    const strategy = new Exhaustive(preemptions);
    for (let count = 0; count < most; count++) {
      const failure = this.run(strategy, false);
      if (failure !== undefined)
        return this.traced(`exhaustive ${preemptions} ${spellPath(strategy.path)}`, failure);
      if (!strategy.advance()) {
        this.complete = true;
        break;
      }
    }
    return undefined;
  }

  private walk({ random = 0, races: checked = 0, seed = 1 }: Budget): Failure | undefined {
    for (let i = 0; i < Math.max(random, checked); i++) {
      const failure = this.run(new RandomWalk(seed + i), i < checked);
      if (failure !== undefined)
        return this.traced(`random ${seed + i}${i < checked ? ' races' : ''}`, failure);
    }
    return undefined;
  }

  private pct({ pct = 0, seed = 1, depth = 3 }: Budget): Failure | undefined {
    for (let i = 0; i < pct; i++) {
      const expected = Math.max(this.longest, 10);
      const failure = this.run(new Pct(seed + i, this.scenario.threads.length, depth, expected), false);
      if (failure !== undefined) return this.traced(`pct ${depth} ${expected} ${seed + i}`, failure);
    }
    return undefined;
  }

  /** Kills thread 1 at every single step of it. The answer has a schedule for each step, and one without a crash. */
  crash(): Explored {
    return this.crashAtEach(1, (step) => [step]);
  }

  /** Kills thread 1 at a step, and thread 2, which recovers it, at every single step of its own. */
  crashTwice(step: number): Explored {
    return this.crashAtEach(2, (second) => [step, second]);
  }

  /** Random schedules in which thread 1 dies at a random step, while the others go on. */
  kill(count: number, seed: number): Explored {
    const before = this.schedules;
    let failure = this.walk({ random: 20, seed });
    for (let i = 0; i < count && failure === undefined; i++) {
      const found = this.run(new KilledWalk(seed + i, this.longest), false);
      if (found !== undefined) failure = this.traced(`killed ${seed + i} ${this.longest}`, found);
    }
    const { longest, allowed } = this;
    return { schedules: this.schedules - before, longest, complete: false, failure, allowed };
  }

  /** Runs `plan(1)`, `plan(2)` and so on, until fewer than `deaths` threads come to their step. */
  private crashAtEach(deaths: number, plan: (step: number) => number[]): Explored {
    const before = this.schedules;
    let failure: Failure | undefined;
    for (let step = 1, struck = deaths; struck === deaths && failure === undefined; step++) {
      const strategy = new Crashes(plan(step));
      const found = this.run(strategy, false);
      struck = strategy.struck;
      if (found !== undefined) failure = this.traced(`crashes ${plan(step).join(' ')}`, found);
    }
    const { longest, allowed } = this;
    return { schedules: this.schedules - before, longest, complete: failure === undefined, failure, allowed };
  }

  /** Runs one schedule. Throws when it fails, with all that is known of it. */
  again(schedule: string): Explored {
    const failure = this.replay(schedule);
    const { longest, allowed } = this;
    return this.passed({ schedules: 1, longest, complete: false, failure, allowed });
  }

  /** Runs the schedule of a failure once more. */
  replay(schedule: string): Failure | undefined {
    const [kind, ...numbers] = schedule.split(' ');
    const [first = 0, expected = 0, seed = 0] = numbers.map(Number);
    let strategy: runtime.Strategy;
    if (kind === 'random') strategy = new RandomWalk(first);
    else if (kind === 'pct') strategy = new Pct(seed, this.scenario.threads.length, first, expected);
    else if (kind === 'killed') strategy = new KilledWalk(first, expected);
    else if (kind === 'crashes') strategy = new Crashes([first, expected]);
    else if (kind === 'exhaustive') strategy = new Exhaustive(first, readPath(numbers.slice(1)));
    else throw new Error(`'${schedule}' is no schedule: a failure says which one it was`);
    const failure = this.run(strategy, schedule.endsWith(' races'), true);
    return failure === undefined ? undefined : { ...failure, schedule, trace: this.trace() };
  }

  private traced(schedule: string, failure: Pick<Failure, 'error' | 'thread'>): Failure {
    return this.replay(schedule) ?? { ...failure, schedule, trace: 'not found again when replayed' };
  }

  private run(
    strategy: runtime.Strategy,
    checkRaces: boolean,
    trace = false,
  ): Pick<Failure, 'error' | 'thread'> | undefined {
    const { scenario, copies, memories, name } = this;
    this.schedules++;
    this.bytes.set(this.laid);
    races.begin(
      scenario.bytes,
      checkRaces ? (first, second, address) => this.raced(first, second, address) : undefined,
    );
    try {
      const world = runtime.drive(scenario.world());
      const tables = scenario.threads.map(table);
      const bodies = tables.map((attached, i) => {
        const open = named(copies[i + 1]!, name)!.threads[i]!;
        return runtime.asThread(i + 1, attached, () => open(memories[i + 1]!, world));
      });
      const { maySleepOut = false } = scenario;
      runtime.run(bodies, tables, { strategy, mostSteps: MOST_STEPS, maySleepOut, trace });
      this.longest = Math.max(this.longest, runtime.steps);
      races.begin(0, undefined);
      if (scenario.check !== undefined) {
        runtime.asThread(CHECKER, table(), () => scenario.check!(memories[0]!, world));
      }
      return undefined;
    } catch (error) {
      const thread = runtime.running;
      runtime.abandon();
      return { error: error as Error, thread };
    }
  }

  private raced(first: number, second: number, address: number): void {
    const one = this.siteAt(first);
    const other = this.siteAt(second);
    const found = this.scenario.races?.find(
      (allowed) => fits(allowed, one, other) || fits(allowed, other, one),
    );
    if (found !== undefined) {
      this.allowed.add(found.reason);
      return;
    }
    throw new RaceError(`data race at ${address}: ${spell(one)} against ${spell(other)}`);
  }

  private siteAt(site: number): Site {
    return this.sites[site >>> 12]![site & 0xfff]!;
  }

  private trace(): string {
    return runtime.switches
      .slice(-40)
      .map(
        ({ thread, step, site }) =>
          `  step ${step}: thread ${thread} left before ${spell(this.siteAt(site))}`,
      )
      .join('\n');
  }

  private described({ error, schedule, thread, trace }: Failure): Error {
    const who = thread === 0 ? 'the check' : `thread ${thread}`;
    return new Error(
      `${this.name}, schedule ${this.schedules} (replay with '${schedule}'): ${who}: ${error.message}\n${trace}\n${error.stack}`,
      { cause: error },
    );
  }
}

/** Two accesses that nothing orders. */
export class RaceError extends Error {
  override readonly name = 'RaceError';
}

/** A scenario by its name; `name.amid` for its variant. */
function named({ scenarios }: Copy, name: string): Scenario | undefined {
  const [base = '', variant] = name.split('.');
  return variant === 'amid' ? scenarios[base]?.amid : scenarios[base];
}

/** The thread id of who checks. */
const CHECKER = 99;

/** What a thread has on its global object: see src/heap/attached.ts. */
function table(): object {
  return { heaps: new Map(), fallback: undefined };
}

/** The choices that are not the first, with their places. */
function spellPath(path: readonly number[]): string {
  return path.flatMap((choice, at) => (choice === 0 ? [] : `${at}:${choice}`)).join(' ');
}

function readPath(choices: readonly string[]): number[] {
  const path: number[] = [];
  for (const choice of choices.filter((one) => one !== '')) {
    const [at = 0, chosen = 0] = choice.split(':').map(Number);
    while (path.length < at) path.push(0);
    path[at] = chosen;
  }
  return path;
}

function fits({ between, and = between }: AllowedRace, one: Site, other: Site): boolean {
  return between.includes(one.name) && and.includes(other.name);
}

function spell({ file, line, name, text }: Site): string {
  return `${file}:${line} (${name}) ${text}`;
}
