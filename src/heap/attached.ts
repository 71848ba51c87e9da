/**
 * Attached heaps: which heaps this thread is attached to, by heap id. Every message delivers another
 * `SharedArrayBuffer` object for the same memory, so identity cannot tell. The table lies on the global
 * object, where two copies of the library in one thread find the same one.
 */

import { AttachError } from '../errors.ts';
import type { Memory } from '../memory/memory.ts';
import type { Heap } from './heap.ts';
import { ThreadSlots } from './slots.ts';
import type { Superblock } from './superblock.ts';

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

/**
 * This thread's heap in a memory; undefined when it has not attached to it.
 *
 * @throws AttachError when it is attached to another one with the same id
 */
export function attachedTo(memory: Memory, parts: Superblock): Heap | undefined {
  const known = attached().heaps.get(parts.id);
  if (known === undefined || isSameMemory(known, memory, parts)) return known;
  throw new AttachError(
    `this thread is attached to another heap with the id ${parts.id}: one is a copy of the other`,
  );
}

/** Whether a memory is that of a heap: what one writes, the other reads. The heap may be of another copy of the library. */
function isSameMemory(known: Heap, memory: Memory, parts: Superblock): boolean {
  const { slots, maxThreads } = parts;
  const nonce = Math.trunc(Math.random() * 2 ** 31);
  new ThreadSlots(known.memory, slots, maxThreads).probe(known.threadSlot, nonce);
  return new ThreadSlots(memory, slots, maxThreads).probed(known.threadSlot) === nonce;
}
