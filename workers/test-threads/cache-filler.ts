/** A pool's task that leaves its thread's cache full: allocates and frees. Answers how many bytes are cached. */

import type { Address, Heap } from '../../src/index.ts';
import { heapTask } from '../../src/threads/piscina.ts';

export default heapTask((count: number, heap: Heap) => {
  const blocks: Address[] = [];
  for (let i = 0; i < count; i++) blocks.push(heap.alloc(64));
  for (const block of blocks) heap.free(block);
  return heap.stats().cached ?? 0;
});

/** The same, and then it throws. */
export const failing = heapTask((count: number, heap: Heap) => {
  for (let i = 0; i < count; i++) heap.free(heap.alloc(64));
  throw new Error('as asked');
});
