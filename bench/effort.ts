/** How long and how often is measured, by effort. */

import type { Effort, Setting } from './question.ts';

/** Rounds of an effort, unless told otherwise. */
export const ROUNDS: Readonly<Record<Effort, number>> = { full: 5, quick: 3, tiny: 1 };

/** Milliseconds for what one thread repeats. */
export function clockMs({ effort }: Setting): number {
  return { full: 300, quick: 100, tiny: 10 }[effort];
}

/** Seconds of a workload that runs for a time, which is `full` as its authors run it. */
export function seconds({ effort }: Setting, full: number): number {
  return { full, quick: Math.min(full, 1), tiny: 0.05 }[effort];
}

/** A count that is smaller when less effort is wanted. */
export function scaled({ effort }: Setting, full: number, quick: number, tiny: number): number {
  return { full, quick, tiny }[effort];
}
