/**
 * Strategies: which thread goes on.
 *
 *     random       at each step a switch with a chance of 1/2 to 1/32, drawn for the schedule
 *     pct          the ready thread of the highest priority; priorities drop at depth - 1 random steps. A bug that
 *                  needs so many orderings is found with a chance of at least 1/(threads · steps^(depth - 1))
 *     exhaustive   all schedules with up to so many preemptions, depth first; switches where the running thread
 *                  cannot go on cost none
 *     killed       random, and thread 1 dies at a random step
 *     crashes      one thread after the other, some of which die at a step of theirs
 *
 * Source for pct: S. Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding bugs",
 * 2010; for bounds on preemptions: M. Musuvathi and S. Qadeer, "Iterative context bounding", 2007.
 */

import { askAt, KILL, type Strategy, steps } from './runtime.ts';

/** A generator of random numbers, the same for the same seed. */
export class Dice {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  /** 0 to below `bound`. Source: mulberry32, T. Ettinger. */
  below(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * bound);
  }
}

/** One of the threads in a set. */
function drawn(set: number, dice: Dice): number {
  let count = 0;
  for (let rest = set; rest !== 0; rest &= rest - 1) count++;
  let rest = set;
  for (let skip = count === 1 ? 0 : dice.below(count); skip > 0; skip--) rest &= rest - 1;
  return 31 - Math.clz32(rest & -rest);
}

export class RandomWalk implements Strategy {
  private readonly dice: Dice;
  private readonly bound: number;
  private choice = 0;

  constructor(seed: number) {
    this.dice = new Dice(seed);
    this.bound = 2 ** (1 + this.dice.below(5));
  }

  begin(): void {
    this.arm();
  }

  private arm(): void {
    this.choice = steps + 1 + this.dice.below(this.bound * 2 - 2);
    askAt(this.choice);
  }

  atPoint(running: number, ready: number): number {
    if (steps < this.choice) {
      askAt(this.choice);
      return running;
    }
    this.arm();
    const others = ready & ~(1 << running);
    return others === 0 ? running : drawn(others, this.dice);
  }

  atBlock(ready: number): number {
    return drawn(ready, this.dice);
  }

  spins(): void {}
}

/** A random walk in which thread 1 dies, at its first step from a random one on. */
export class KilledWalk extends RandomWalk {
  struck = false;
  private readonly killAt: number;

  /** @param expected how many steps a schedule takes */
  constructor(seed: number, expected: number) {
    super(seed);
    this.killAt = 1 + new Dice(seed ^ 0x5eed).below(expected);
  }

  override begin(): void {
    super.begin();
    askAt(1);
  }

  override atPoint(running: number, ready: number): number {
    if (!this.struck && running === 1 && steps >= this.killAt) {
      this.struck = true;
      return KILL;
    }
    const next = super.atPoint(running, ready);
    if (!this.struck) askAt(Math.max(this.killAt, steps + 1));
    return next;
  }
}

export class Pct implements Strategy {
  private readonly priorities: number[] = [];
  private readonly changes: number[];
  private lowest = 0;

  /** @param expected how many steps a schedule takes */
  constructor(seed: number, threads: number, depth: number, expected: number) {
    const dice = new Dice(seed);
    for (let thread = 1; thread <= threads; thread++) {
      this.priorities.splice(dice.below(thread), 0, thread);
    }
    const order = this.priorities.slice();
    order.forEach((thread, i) => {
      this.priorities[thread] = threads - i;
    });
    this.changes = Array.from({ length: depth - 1 }, () => 1 + dice.below(expected)).sort((a, b) => a - b);
  }

  begin(): void {
    askAt(this.changes[0] ?? Number.POSITIVE_INFINITY);
  }

  atPoint(running: number, ready: number): number {
    while (this.changes.length > 0 && steps >= this.changes[0]!) {
      this.changes.shift();
      this.spins(running);
    }
    askAt(this.changes[0] ?? Number.POSITIVE_INFINITY);
    return this.atBlock(ready);
  }

  atBlock(ready: number): number {
    let best = 0;
    for (let rest = ready; rest !== 0; rest &= rest - 1) {
      const thread = 31 - Math.clz32(rest & -rest);
      if (best === 0 || this.priorities[thread]! > this.priorities[best]!) best = thread;
    }
    return best;
  }

  /** Whoever spins waits for others, whatever their priority. */
  spins(running: number): void {
    this.priorities[running] = --this.lowest;
  }
}

/** Runs a path of choices, and finds the next. */
export class Exhaustive implements Strategy {
  private readonly bound: number;
  /** What was chosen at each node, and of how many. */
  private readonly chosen: number[] = [];
  private readonly of: number[] = [];
  private at = 0;
  private preemptions = 0;

  constructor(bound: number, path: readonly number[] = []) {
    this.bound = bound;
    this.chosen.push(...path);
    this.of.push(...path.map(() => 0));
  }

  get path(): number[] {
    return this.chosen.slice(0, this.at);
  }

  begin(): void {
    this.at = 0;
    this.preemptions = 0;
    askAt(this.bound === 0 ? Number.POSITIVE_INFINITY : 1);
  }

  /** Goes to the next path. False when there is none. */
  advance(): boolean {
    this.chosen.length = this.at;
    this.of.length = this.at;
    while (this.chosen.length > 0 && this.chosen.at(-1)! + 1 >= this.of.at(-1)!) {
      this.chosen.pop();
      this.of.pop();
    }
    if (this.chosen.length === 0) return false;
    this.chosen[this.chosen.length - 1]! += 1;
    return true;
  }

  private choose(options: number): number {
    const { at } = this;
    if (at === this.chosen.length) this.chosen.push(0);
    this.of[at] = options;
    this.at++;
    return this.chosen[at]!;
  }

  atPoint(running: number, ready: number): number {
    if (this.preemptions >= this.bound) {
      askAt(Number.POSITIVE_INFINITY);
      return running;
    }
    const others = ready & ~(1 << running);
    if (others === 0) return running;
    const choice = this.choose(1 + size(others));
    if (choice === 0) return running;
    this.preemptions++;
    return nth(others, choice - 1);
  }

  atBlock(ready: number): number {
    const options = size(ready);
    return options === 1 ? nth(ready, 0) : nth(ready, this.choose(options));
  }

  spins(): void {}
}

/** Runs one thread after the other, and ends some of them at a step of their own. */
export class Crashes implements Strategy {
  readonly inTurn = true;
  /** How many threads came to their step. */
  struck = 0;
  private readonly at: readonly number[];
  private begun = 0;
  private target = Number.POSITIVE_INFINITY;

  /** @param at for thread 1, 2, …: the step at which it dies, from 1 on; 0 for not at all */
  constructor(at: readonly number[]) {
    this.at = at;
  }

  begin(): void {}

  atPoint(running: number): number {
    askAt(this.target);
    if (steps < this.target) return running;
    this.struck++;
    return KILL;
  }

  /** The lowest thread that can go on. */
  atBlock(ready: number): number {
    const thread = nth(ready, 0);
    if (thread !== this.begun) {
      this.begun = thread;
      const step = this.at[thread - 1] ?? 0;
      this.target = step === 0 ? Number.POSITIVE_INFINITY : steps + step;
      askAt(this.target);
    }
    return thread;
  }

  spins(): void {}
}

function size(set: number): number {
  let count = 0;
  for (let rest = set; rest !== 0; rest &= rest - 1) count++;
  return count;
}

function nth(set: number, index: number): number {
  let rest = set;
  for (let skip = index; skip > 0; skip--) rest &= rest - 1;
  return 31 - Math.clz32(rest & -rest);
}
