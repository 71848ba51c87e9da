/**
 * Rounds: measures cases, each in a fresh process, in turns, so that a noisy machine disturbs all of them
 * alike. Ratios are taken within a round, and their median is reported.
 *
 *     round 1   a b c      round 2   c b a      round 3   a b c …
 */

import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { foreignCores, moment } from './busy.ts';
import type { Job, Numbers } from './job.ts';
import type { Missing, Setting } from './question.ts';
import { labelOf, nativeCommand, whyMissing } from './subject-table.ts';

const run = promisify(execFile);
const CHILD = fileURLToPath(new URL('child.js', import.meta.url));
/** A child that says nothing for so long is stuck. */
const TIMEOUT_MS = 15 * 60_000;
/** Others may take so much of a core that the measurement needs before it is made again. */
const BEARABLE_CORES = 0.15;

/** What is measured, under a name of its own. */
export interface Case {
  readonly key: string;
  readonly job: Job;
}

/** The numbers of all rounds. */
export class Samples {
  readonly missing: Missing[] = [];
  readonly failures: string[] = [];
  /** How many cores others kept busy during each measurement. */
  readonly disturbances: number[] = [];
  readonly #runs = new Map<string, (Numbers | undefined)[]>();

  add(key: string, numbers: Numbers | undefined): void {
    const runs = this.#runs.get(key) ?? [];
    runs.push(numbers);
    this.#runs.set(key, runs);
  }

  /** The metric in each round; NaN where the case failed. */
  values(key: string, metric: string): number[] {
    return (this.#runs.get(key) ?? []).map((numbers) => numbers?.[metric] ?? Number.NaN);
  }

  /** The metric's median over the rounds. */
  median(key: string, metric: string): number | undefined {
    return median(this.values(key, metric));
  }

  /** The ratios of two cases, round by round. */
  ratios(above: string, below: string, metric: string, times = 1): number[] {
    const divisors = this.values(below, metric);
    return this.values(above, metric)
      .map((value, round) => (value / (divisors[round] ?? Number.NaN)) * times)
      .filter((ratio) => !Number.isNaN(ratio));
  }

  /** Their median, with the lowest and the highest. */
  ratio(above: string, below: string, metric: string, times = 1): Spread {
    return spreadOf(this.ratios(above, below, metric, times));
  }

  /** A metric's median, with the lowest and the highest. */
  spread(key: string, metric: string): Spread {
    return spreadOf(this.values(key, metric));
  }
}

/** A median and how far the rounds lie apart. */
export interface Spread {
  readonly measured: number | undefined;
  readonly spread: readonly [number, number] | undefined;
}

/** Measures the cases whose subjects can be had. */
export async function sample(
  setting: Setting,
  cases: readonly Case[],
  rounds = setting.rounds,
): Promise<Samples> {
  const samples = new Samples();
  const wanted = cases.filter(({ job }) => hasSubject(job, samples));
  const total = wanted.length * rounds;
  let done = 0;
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? wanted : wanted.toReversed();
    await inLanes(setting.effort === 'tiny' ? availableParallelism() : 1, order, async ({ key, job }) => {
      setting.progress(done++, total, `${job.workload} ${key}`);
      samples.add(key, await measure(setting, job, samples));
    });
  }
  setting.progress(total, total, '');
  return samples;
}

/** Does something for all items, so many at a time: more than one only where times do not matter. */
async function inLanes<T>(
  lanes: number,
  items: readonly T[],
  act: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) await act(items[next++]!);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

function hasSubject({ subject }: Job, samples: Samples): boolean {
  const reason = whyMissing(subject);
  if (reason === undefined) return true;
  const label = labelOf(subject);
  if (!samples.missing.some((missing) => missing.subject === label))
    samples.missing.push({ subject: label, reason });
  return false;
}

/** Measures again while others keep the machine busy, and takes the least disturbed. */
async function measure(setting: Setting, job: Job, samples: Samples): Promise<Numbers | undefined> {
  let best: Numbers | undefined;
  for (let attempt = 0; attempt <= setting.patience; attempt++) {
    const numbers = await measureOnce(setting, job, samples);
    if (numbers === undefined) return undefined;
    if (best === undefined || numbers.foreign! < best.foreign!) best = numbers;
    if (best.foreign! <= bearable(job)) break;
  }
  samples.disturbances.push(best!.foreign!);
  return best;
}

/** How many cores others may keep busy: those that the job does not need, and a little. */
function bearable({ threads = 1 }: Job): number {
  return Math.max(0, availableParallelism() - threads) + BEARABLE_CORES;
}

async function measureOnce(setting: Setting, job: Job, samples: Samples): Promise<Numbers | undefined> {
  const [file, args, env] = commandOf(setting, job);
  const before = moment();
  try {
    const { stdout } = await run(file, args, { env, timeout: TIMEOUT_MS, maxBuffer: 2 ** 24 });
    const numbers = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Numbers;
    return { ...numbers, foreign: foreignCores(before, numbers.cpu ?? 0) };
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    const said = stderr?.split('\n').find((line) => /Error|error|wrong/.test(line)) ?? message.split('\n')[0];
    const failure = `${job.workload} of ${labelOf(job.subject)}, ${job.threads ?? 1} threads: ${said?.trim()}`;
    if (!samples.failures.includes(failure)) samples.failures.push(failure);
    return undefined;
  }
}

function commandOf({ node }: Setting, job: Job): [string, string[], NodeJS.ProcessEnv] {
  const native = nativeCommand(job);
  if (native !== undefined) return [native.file, native.args, { ...process.env, ...native.env }];
  return [node, [CHILD, JSON.stringify(job)], process.env];
}

/** The middle of the numbers, leaving out NaN. */
export function median(values: readonly number[]): number | undefined {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function spreadOf(values: readonly number[]): Spread {
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length === 0) return { measured: undefined, spread: undefined };
  return { measured: median(known), spread: [Math.min(...known), Math.max(...known)] };
}
