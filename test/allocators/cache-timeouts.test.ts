/** The allocator's lock is not to be had in time while a cache gives or gets a batch: nothing is lost by it. */

import { describe, expect, test } from 'vitest';
import { BuddyAllocator } from '../../src/allocators/buddy.ts';
import { ThreadCached } from '../../src/allocators/thread-cached.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { LockTimeoutError } from '../../src/errors.ts';
import type { Address } from '../../src/memory/address.ts';
import { Thread } from '../../src/sync/thread.ts';
import { allocMany, BATCH, CacheScene, MANY } from './cache-scene.ts';

/** Two threads: one that gives up after 20 ms, and one that can hold the lock for as long as it likes. */
function scene(allocator: typeof TlsfAllocator | typeof BuddyAllocator) {
  const { memory, start, mine: holder } = new CacheScene(4 * 2 ** 20, allocator);
  const first = holder.stats();
  const hasty = ThreadCached.attach(memory, start, Thread.inSlot(9, 1, new Int32Array(2), 0), 20);
  return { holder, hasty, first };
}

function expectAllBack({ holder, hasty, first }: ReturnType<typeof scene>): void {
  hasty.flush();
  holder.flush();
  holder.verify();
  expect([...holder.blocks()].filter(({ state }) => state === 'hand')).toEqual([]);
  expect(holder.stats()).toMatchObject({ used: 0, largestFree: first.largestFree, racedFrees: 0 });
}

describe.each([
  ['TLSF, in runs', TlsfAllocator],
  ['buddy, one by one', BuddyAllocator],
])('%s', (_, allocator) => {
  test.each([
    // Once the transfer list is full, or at once when they lie in a row.
    [
      'a full cache',
      (hasty: ThreadCached, live: Address[]) => {
        for (; live.length > 0; live.pop()) hasty.free(live.at(-1)!);
      },
    ],
    ['a flush', (hasty: ThreadCached) => hasty.flush()],
  ])('%s that cannot give its blocks back', (_, give) => {
    const at = scene(allocator);
    const { holder, hasty } = at;
    const live = allocMany(hasty, 14 * BATCH, 16);
    for (const block of live.splice(13 * BATCH)) hasty.free(block);
    holder.inner.acquire();
    expect(() => give(hasty, live)).toThrow(LockTimeoutError);
    holder.inner.lock.release();
    hasty.verify();
    expect(live.map((block) => hasty.sizeOf(block) >= 16)).not.toContain(false);
    for (const block of live) hasty.free(block);
    expectAllBack(at);
  });

  test('a batch that was taken and cannot be cut', () => {
    const at = scene(allocator);
    const { holder, hasty } = at;
    const core = hasty.inner.inner;
    const blocks = allocMany(hasty, MANY, 16);
    hasty.flush();
    const layMany = core.layMany.bind(core);
    let isHeld = false;
    core.layMany = (...args) => {
      holder.inner.acquire();
      isHeld = true;
      return layMany(...args);
    };
    // An allocator that cuts nothing does not ask for the lock again.
    const refused = allocator === TlsfAllocator;
    if (refused) expect(() => hasty.alloc(500)).toThrow(LockTimeoutError);
    else blocks.push(hasty.alloc(500));
    expect(isHeld).toBe(true);
    holder.inner.lock.release();
    core.layMany = layMany;
    hasty.verify();
    for (const block of blocks) hasty.free(block);
    expectAllBack(at);
  });
});
