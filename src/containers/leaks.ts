/**
 * Leak warnings: a Box, Arc, Weak or Rc that the garbage collector took before it was dropped or moved
 * left its block in the heap for good. Off unless asked for, because noting each costs some 100 ns.
 *
 *     warnOfLeaks(true)     Box of Point at 0x00012340 was neither dropped nor moved: it leaks
 *
 * A warning comes from a finalizer, so some time after the fact, and never from an idle worker of
 * piscina, whose event loop stands still. What is alive when a thread ends is not warned of.
 */

import { hex } from '../errors.ts';

/** What is told of a leak. */
export type LeakWarning = (message: string) => void;

interface Leak {
  readonly what: string;
  readonly address: number;
}

let tell: LeakWarning | undefined;
/** Undefined while warnings are off. */
let registry: FinalizationRegistry<Leak> | undefined;

/**
 * Switches warnings of leaked owners on or off, for what this thread makes from now on.
 *
 * @param on `true` warns with `console.warn`, a function is called instead; false switches them off
 */
export function warnOfLeaks(on: boolean | LeakWarning): void {
  if (typeof on !== 'boolean' && typeof on !== 'function') {
    throw new TypeError(`warnOfLeaks takes true, false or a function, got ${typeof on}`);
  }
  tell = typeof on === 'function' ? on : on ? (message) => console.warn(message) : undefined;
  registry = tell && (registry ?? new FinalizationRegistry(warn));
}

/** Whether warnings are on. */
export function warnsOfLeaks(): boolean {
  return registry !== undefined;
}

/** Has a warning given when `owner` is collected. Does nothing while warnings are off. */
export function noteOwner(owner: object, what: string, address: number): void {
  registry?.register(owner, { what, address }, owner);
}

/** The owner has given up what it owned. */
export function forgetOwner(owner: object): void {
  registry?.unregister(owner);
}

function warn({ what, address }: Leak): void {
  tell?.(`sabheap: ${what} at ${hex(address)} was neither dropped nor moved: it leaks`);
}
