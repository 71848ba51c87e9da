/** Nanoseconds of a turn, by tinybench: the middle of many, each long enough for the clock. */

import { Bench } from 'tinybench';
import { type Job, option } from '../job.ts';

const WARM_UP_MS = 300;

/**
 * Measures what `turn` does `count` times.
 *
 * @returns nanoseconds of one time
 */
export function nanoseconds(job: Job, count: number, turn: () => void): number {
  const time = option(job, 'ms', 300);
  // What runs for a tenth of a second only is compiled by the engine's quick compiler alone.
  const warmupTime = time < 50 ? time : Math.max(WARM_UP_MS, time);
  const bench = new Bench({ time, warmupTime, iterations: 8, warmupIterations: 4, throws: true });
  bench.add('turn', turn);
  bench.runSync();
  const { result } = bench.tasks[0]!;
  if (!('latency' in result)) throw new Error(`tinybench ended with ${result.state}`);
  return (result.latency.p50 * 1e6) / count;
}
