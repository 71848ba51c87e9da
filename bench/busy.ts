/** How much of the machine others took while something was measured: Linux tells. */

import { readFileSync } from 'node:fs';

/** Linux counts in hundredths of a second. */
const TICKS = 100;

/** A moment: wall seconds, and seconds of CPU that all processes have used, or undefined elsewhere. */
export interface Moment {
  readonly wall: number;
  readonly used: number | undefined;
}

export function moment(): Moment {
  return { wall: performance.now() / 1000, used: cpuSeconds() };
}

/**
 * How many cores others kept busy since `before`, on average.
 *
 * @param own seconds of CPU that the measurement itself used
 */
export function foreignCores(before: Moment, own: number): number {
  const after = moment();
  if (before.used === undefined || after.used === undefined) return 0;
  return Math.max(0, (after.used - before.used - own) / (after.wall - before.wall));
}

function cpuSeconds(): number | undefined {
  let line: string | undefined;
  try {
    line = readFileSync('/proc/stat', 'utf8').split('\n')[0];
  } catch {
    return undefined;
  }
  // cpu user nice system idle iowait irq softirq steal …
  const [user, nice, system, , , irq, softirq, steal] = (line ?? '').trim().split(/\s+/).slice(1).map(Number);
  return (user! + nice! + system! + irq! + softirq! + (steal ?? 0)) / TICKS;
}
