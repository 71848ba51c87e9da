/**
 * How the workers of a stress run can die on this runtime, and how soon after its 'exit' one is gone.
 *
 *     Node    in every way; gone at its 'exit'
 *     Bun     the same, but it does not limit a worker's JavaScript heap: a full one fills the machine's memory
 *     Deno    does not end a busy worker that is terminated, and says 'exit' before the thread has ended: the
 *             kernel tells when it has, on Linux and to who has --allow-all
 */

import { readlinkSync } from 'node:fs';

/** How workers were ended. */
export interface Kills {
  terminated: number;
  exited: number;
  threw: number;
  exhausted: number;
}

const { bun, deno } = process.versions;

/** How a worker dies where the runtime does not know the way that was drawn for it. */
const INSTEAD: { readonly [way in keyof Kills]?: keyof Kills } =
  deno !== undefined ? { terminated: 'exited' } : bun !== undefined ? { exhausted: 'threw' } : {};

/** What to say of a run with kills on this runtime, if anything. */
export const NOTE =
  deno !== undefined
    ? 'Deno does not end a busy worker that is terminated: those exit instead'
    : bun !== undefined
      ? "Bun does not limit a worker's JavaScript heap: those that were to fill it throw instead"
      : undefined;

/** Whether a worker's 'exit' may come before its thread has ended. */
export const EXITS_EARLY = deno !== undefined;

/** A way to die that this runtime knows. `chance` is an integer from 0 below 100. */
export function wayToDie(chance: number): keyof Kills {
  const way = chance < 60 ? 'terminated' : chance < 78 ? 'exited' : chance < 97 ? 'threw' : 'exhausted';
  return INSTEAD[way] ?? way;
}

/** Why nobody may be killed here, if so: then no death could be proven, and what the dead held would stay theirs. */
export function whyNoKills(): string | undefined {
  if (deno === undefined) return undefined;
  try {
    readlinkSync('/proc/thread-self');
    return undefined;
  } catch {
    return 'Deno tells whether a thread has ended on Linux with --allow-all only: use that, or --kill 0';
  }
}
