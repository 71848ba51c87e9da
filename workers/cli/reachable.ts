/**
 * What of a heap can be reached from its roots. Blocks do not say where in them addresses lie, so every word
 * counts that could be one: a lost block may pass for a used one, if a number happens to look like its address,
 * but never a used one for lost.
 */

import type { BlockInfo, Heap } from '../../src/index.ts';

/** A block that somebody has, with what became of it. */
export interface UsedBlock extends Readonly<BlockInfo> {
  /** Whether a chain of addresses leads to it from the heap's roots. */
  readonly isReached: boolean;
}

/** The blocks that are in use, in the order of their addresses. The heap must be at rest. */
export function usedBlocks(heap: Heap, tell: (bytes: number) => void = () => {}): UsedBlock[] {
  const all = [...heap.blocks()];
  const used = all.filter(({ state }) => !['free', 'hand', 'transfer', 'quarantine'].includes(state));
  const isReached = reach(heap, all[0]?.address ?? heap.memory.byteLength, used, tell);
  return used.map((block, index) => ({ ...block, isReached: isReached[index] === 1 }));
}

/** @param end where the blocks start; all before it is the heap's own: root list, registry, control block */
function reach(
  heap: Heap,
  end: number,
  used: readonly BlockInfo[],
  tell: (bytes: number) => void,
): Uint8Array {
  const starts = Float64Array.from(used, ({ address }) => address);
  const ends = Float64Array.from(used, ({ address, size }) => address + size);
  const isReached = new Uint8Array(used.length);
  const pending: number[] = [];
  const lowest = starts[0] ?? Number.POSITIVE_INFINITY;
  const highest = ends.at(-1) ?? 0;
  const scan = (from: number, to: number): void => {
    for (const word of heap.memory.u32.subarray(from >>> 2, to >>> 2)) {
      if (word < lowest || word >= highest) continue;
      const index = lastAtMost(starts, word);
      if (word >= ends[index]! || isReached[index] === 1) continue;
      isReached[index] = 1;
      pending.push(index);
    }
  };
  scan(0, end);
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    scan(starts[index]!, ends[index]!);
    tell(ends[index]! - starts[index]!);
  }
  return isReached;
}

/** Index of the last element that is at most `value`. The first one must be. */
function lastAtMost(ascending: Float64Array, value: number): number {
  let low = 0;
  for (let high = ascending.length; high - low > 1; ) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! <= value) low = middle;
    else high = middle;
  }
  return low;
}
