/** Nanoseconds of a turn, by tinybench: the middle of many, each long enough for the clock. */

import { Bench } from 'tinybench';
import { type Job, option } from '../job.ts';

/**
 * Measures what `turn` does `count` times.
 *
 * @returns nanoseconds of one time
 */
export function nanoseconds(job: Job, count: number, turn: () => void): number {
  const time = option(job, 'ms', 300);
  const bench = new Bench({ time, warmupTime: time / 2, iterations: 8, warmupIterations: 4, throws: true });
  bench.add('turn', turn);
  bench.runSync();
  const { result } = bench.tasks[0]!;
  if (!('latency' in result)) throw new Error(`tinybench ended with ${result.state}`);
  return (result.latency.p50 * 1e6) / count;
}
