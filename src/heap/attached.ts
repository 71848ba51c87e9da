/**
 * Attached heaps: which heaps this thread is attached to, by heap id. Every message delivers another
 * `SharedArrayBuffer` object for the same memory, so identity cannot tell. The table lies on the global
 * object, where two copies of the library in one thread find the same one.
 */

import type { Heap } from './heap.ts';

interface Attached {
  readonly heaps: Map<string, Heap>;
  fallback: Heap | undefined;
}

const KEY = Symbol.for('sabheap');
const globals = globalThis as { [KEY]?: Attached };

/** This thread's table. */
export function attached(): Attached {
  globals[KEY] ??= { heaps: new Map(), fallback: undefined };
  return globals[KEY];
}
