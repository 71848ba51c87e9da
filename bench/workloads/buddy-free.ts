/**
 * Buddy-free: what one `free` of the bare buddy allocator costs while so many blocks are live. Blocks of
 * 24 … 87 bytes are freed in batches, at random, and allocated again with the clock stopped.
 */

import { type Address, BuddyAllocator, Memory, MiB } from '../../src/index.ts';
import { type Job, type Numbers, option } from '../job.ts';
import { Random } from './random.ts';

const BATCH = 250;

export function measureBuddyFree(job: Job): Numbers {
  const live = option(job, 'live', 1000);
  const batches = option(job, 'batches', 2000);
  const allocator = BuddyAllocator.create(Memory.create(64 * MiB), { start: 64 });
  const random = new Random(4141);
  const blocks = Array.from({ length: live }, () => allocator.alloc(24 + random.below(64)));
  const order = new Uint32Array(live).map((_, index) => index);
  const costs: number[] = [];
  for (let batch = 0; batch < batches; batch++) {
    shuffle(order, BATCH, random);
    const began = performance.now();
    freeBatch(allocator, blocks, order);
    costs.push(((performance.now() - began) * 1e6) / BATCH);
    for (let i = 0; i < BATCH; i++) blocks[order[i]!] = allocator.alloc(24 + random.below(64));
  }
  allocator.verify();
  costs.splice(0, costs.length >> 2);
  costs.sort((a, b) => a - b);
  return { ns: costs[costs.length >> 1]! };
}

function freeBatch(allocator: BuddyAllocator, blocks: readonly Address[], order: Uint32Array): void {
  for (let i = 0; i < BATCH; i++) allocator.free(blocks[order[i]!]!);
}

/** Puts a random choice of so many in front. */
function shuffle(order: Uint32Array, count: number, random: Random): void {
  for (let i = 0; i < count; i++) {
    const other = i + random.below(order.length - i);
    const kept = order[i]!;
    order[i] = order[other]!;
    order[other] = kept;
  }
}
