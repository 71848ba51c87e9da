/**
 * A picture of the heap in text, for people.
 *
 *      heap 5f0c… · 64 MiB · linked-list
 *      ████▓▓░░▒····················································
 *
 * Each character stands for an equal share of the address space, and shows the state that takes up most
 * of it.
 */

import type { BlockInfo } from '../allocators/allocator.ts';
import type { BlockState } from '../allocators/ownership.ts';
import { GiB, KiB, MiB } from '../memory/address.ts';
import { attached } from './attached.ts';
import type { Heap } from './heap.ts';

const WIDTH = 64;
const LINES = 4;

const MARKS: Record<BlockState, string> = {
  free: '·',
  hand: '░',
  transfer: '░',
  live: '█',
  flight: '▶',
  shared: '▓',
  orphan: '▒',
  quarantine: '×',
};

/** Draws blocks by state, then the figures. */
export function drawHeap(heap: Heap): string {
  const stats = heap.stats();
  const threads = heap.threads();
  const lines = [
    `heap ${heap.id} · ${formatBytes(heap.memory.byteLength)} reserved, ${formatBytes(stats.capacity)} claimed`,
    ...drawBlocks([...heap.blocks()]),
    '█ live  ▓ shared  ▶ in flight  ▒ orphaned  ░ in hand  · free',
    `used ${formatBytes(stats.used)} in ${stats.liveBlocks} blocks (peak ${formatBytes(stats.peakUsed)}), ` +
      `free ${formatBytes(stats.free)}, largest ${formatBytes(stats.largestFree)}, overhead ${formatBytes(stats.overhead)}`,
    `${stats.allocations} allocations, ${stats.frees} frees, ${stats.failures} failures; ` +
      `lock taken ${stats.lockAcquisitions} times, contended ${stats.lockContended}`,
    ...threads.map(
      (t) =>
        `slot ${t.slot}: thread ${t.threadId}, owns ${t.ownedBlocks} blocks, ${formatBytes(t.ownedBytes)}`,
    ),
    `roots: ${heap.roots.names().join(', ') || 'none'}`,
  ];
  return lines.join('\n');
}

/** What `console.log(heap)` shows: not the bytes. */
export function inspectHeap(this: Heap): string {
  const { id, memory, threadSlot } = this;
  const slot = attached().heaps.get(id) === this ? `thread slot ${threadSlot}` : 'detached';
  return `Heap { id: ${id}, ${formatBytes(memory.byteLength)}, ${slot}; describe() draws it }`;
}

function drawBlocks(blocks: BlockInfo[]): string[] {
  const from = blocks[0]?.address ?? 0;
  const last = blocks.at(-1);
  const to = last === undefined ? 0 : last.address + last.size;
  const cells = WIDTH * LINES;
  const shares = Array.from({ length: cells }, () => new Map<BlockState, number>());
  const scale = (to - from) / cells || 1;
  for (const { address, size, state } of blocks) {
    const end = address + Math.max(size, 1) - from;
    for (let cell = Math.floor((address - from) / scale); cell < cells && cell * scale < end; cell++) {
      const share = Math.min(end, (cell + 1) * scale) - Math.max(address - from, cell * scale);
      shares[cell]!.set(state, (shares[cell]!.get(state) ?? 0) + share);
    }
  }
  const marks = shares.map((share) => MARKS[mostOf(share)]).join('');
  return Array.from({ length: LINES }, (_, line) => marks.slice(line * WIDTH, (line + 1) * WIDTH));
}

function mostOf(share: Map<BlockState, number>): BlockState {
  let most: BlockState = 'free';
  let bytes = 0;
  for (const [state, amount] of share) {
    if (amount <= bytes) continue;
    most = state;
    bytes = amount;
  }
  return most;
}

function formatBytes(bytes: number): string {
  if (bytes >= GiB) return `${(bytes / GiB).toFixed(2)} GiB`;
  if (bytes >= MiB) return `${(bytes / MiB).toFixed(2)} MiB`;
  if (bytes >= KiB) return `${(bytes / KiB).toFixed(2)} KiB`;
  return `${bytes} B`;
}
