/** Reaping the dead: what a thread left behind when it ended without a word. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Box, box } from '../../src/containers/box.ts';
import { string } from '../../src/containers/string.ts';
import { DetachedError, HeapCorruptionError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapAllocator } from '../../src/heap/options.ts';
import { ThreadSlots } from '../../src/heap/slots.ts';
import { readSuperblock } from '../../src/heap/superblock.ts';
import { type Address, KiB, MiB, NULL } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { anotherThread } from '../misuse/another-thread.ts';
import { told, visit } from './visitor.ts';

const Named = struct('Named', { id: u32, name: string });

let heap: Heap;
let largest: number;
beforeEach(() => {
  heap = Heap.create({ byteLength: MiB, maxThreads: 4, lockTimeout: 60_000 });
  largest = heap.stats().largestFree;
});
afterEach(() => heap.detach());

const tenantOf = ({ thread: { slot, generation } }: Heap) => ({ slot, generation });

function die(victim: Heap): void {
  const { slots, maxThreads } = readSuperblock(heap.memory);
  const { slot, generation } = victim.thread;
  new ThreadSlots(heap.memory, slots, maxThreads).markDead(slot, generation);
}

function expectWholeRegion(): void {
  heap.flush();
  heap.verify();
  expect(heap.stats().largestFree).toBe(largest);
}

describe.each(['tlsf', 'linked-list', 'buddy', 'bump'] satisfies HeapAllocator[])('%s', (allocator) => {
  test.each([true, false])("gives the cache back and makes live blocks nobody's; caches: %s", (cache) => {
    const own = Heap.create({ byteLength: MiB, allocator, cache: cache && allocator !== 'bump' });
    const before = own.stats().largestFree;
    const victim = anotherThread(own);
    const kept = Array.from({ length: 20 }, (_, i) => victim.alloc(24 + i * 8));
    const shared = victim.alloc(100);
    victim.share(shared);
    const sent = victim.alloc(100);
    victim.trySend(sent);
    for (const address of Array.from({ length: 50 }, () => victim.alloc(48))) victim.free(address);
    const mine = own.alloc(64);
    const report = own.reap(tenantOf(victim));
    expect(report).toMatchObject({ slot: 2, threadId: 0, reclaimed: false });
    expect(report.owned).toEqual(kept);
    expect(report.ownedBytes).toBeGreaterThanOrEqual(kept.reduce((sum, _, i) => sum + 24 + i * 8, 0));
    if (cache && allocator !== 'bump') expect(report.returnedBlocks).toBeGreaterThanOrEqual(20);
    own.verify();
    const states = new Map([...own.blocks()].map(({ address, state }) => [address, state]));
    for (const address of kept) expect(states.get(address)).toBe('orphan');
    expect([states.get(shared), states.get(sent), states.get(mine)]).toEqual(['shared', 'flight', 'live']);
    for (const address of [...kept, shared, sent, mine]) own.free(address);
    own.flush();
    own.verify();
    expect(own.stats()).toMatchObject({ liveBlocks: 0, largestFree: before });
    own.detach();
  });
});

describe('what it owned', () => {
  test('is dropped with all that it owns, where that is wanted', () => {
    const victim = anotherThread(heap);
    victim.alloc(100);
    Box.create(victim, Named, { id: 1, name: 'a name that takes a block of its own' });
    expect(heap.stats().liveBlocks).toBeGreaterThan(2);
    const report = heap.reap(tenantOf(victim), { reclaim: true });
    expect(report.reclaimed).toBe(true);
    expect(report.owned.length).toBeGreaterThanOrEqual(2);
    expect(heap.stats().liveBlocks).toBe(0);
    expectWholeRegion();
  });

  test('stays where it was sent or shared, reclaimed or not', () => {
    const victim = anotherThread(heap);
    const shared = victim.alloc(40);
    victim.roots.set('kept', shared);
    const sent = victim.alloc(40);
    victim.trySend(sent);
    expect(heap.reap(tenantOf(victim), { reclaim: true }).owned).toEqual([]);
    expect(heap.roots.get('kept')).toBe(shared);
    expect(heap.tryReceive(sent)).toBe(true);
    expect(heap.sizeOf(shared)).toBeGreaterThanOrEqual(40);
  });
});

describe('an array of structs', () => {
  const Tagged = struct('Tagged', { id: u32, one: Named, tags: array(string, 2), next: box(Named) });
  const LONG = 'a text that takes a block of its own';

  test.each([
    ['rows', 'standard'],
    ['columns', 'standard'],
    ['rows', 'hardened'],
    ['columns', 'hardened'],
  ] as const)('in %s is dropped with all that its elements own; %s', (layout, checks) => {
    const own = Heap.create({ byteLength: MiB, checks, maxThreads: 4 });
    // Its layout takes a block the first time.
    Tagged.array(own, 1, { layout }).free();
    own.flush();
    const before = own.stats();
    const victim = anotherThread(own);
    const made = Tagged.array(victim, 5, { layout });
    for (const each of made) {
      Object.assign(each, { id: 7, next: { id: 1, name: LONG } });
      each.one.name = LONG;
      each.tags.set(1, LONG);
    }
    expect(own.stats().liveBlocks - before.liveBlocks).toBe(1 + 5 * 4);
    expect(own.reap(tenantOf(victim), { reclaim: true })).toMatchObject({
      owned: [made.address],
      damaged: [],
    });
    own.flush();
    own.verify();
    expect(own.stats()).toMatchObject({ liveBlocks: before.liveBlocks, largestFree: before.largestFree });
    own.detach();
  });

  test('that was freed is none any more, whatever lies there now', () => {
    const victim = anotherThread(heap);
    const made = Named.array(victim, 4);
    made.at(2).name = LONG;
    const { address } = made;
    const size = heap.sizeOf(address);
    made.free();
    const raw = victim.alloc(size);
    expect(raw).toBe(address);
    // All but the end of the block is the user's, and looks like addresses.
    heap.memory.u32.fill(heap.alloc(40), raw / 4, (raw + size) / 4 - 2);
    expect(heap.reap(tenantOf(victim), { reclaim: true })).toMatchObject({ owned: [raw], damaged: [] });
    expect(heap.stats().liveBlocks).toBe(1);
  });

  test('whose own tail was overwritten is freed, and leads nowhere', () => {
    for (const word of [3, 4]) {
      const victim = anotherThread(heap);
      const made = Named.array(victim, 4);
      const end = (made.address + heap.sizeOf(made.address)) / 4;
      heap.memory.u32[end - word] = 0x7fffffff;
      expect(heap.reap(tenantOf(victim), { reclaim: true })).toMatchObject({
        owned: [made.address],
        damaged: [],
      });
    }
    expectWholeRegion();
  });
});

describe('a damaged block', () => {
  /** Three structs of a dead thread, each with a name; the block of the one in the middle is damaged. */
  test.each([
    ['standard', (own: Heap, address: Address) => (own.memory.u32[address / 4 + 1] = own.alloc(40))],
    ['hardened', (own: Heap, address: Address) => (own.memory.u8[address + own.sizeOf(address)]! ^= 1)],
  ] as const)('keeps no other from being dropped, and is named: %s', (checks, damage) => {
    const own = Heap.create({ byteLength: MiB, checks, maxThreads: 4 });
    const victim = anotherThread(own);
    const made = Array.from({ length: 3 }, () => victim.new(Named, { name: 'a text of its own' }).address);
    damage(own, made[1]!);
    const { owned, damaged } = own.reap(tenantOf(victim), { reclaim: true });
    expect(owned).toEqual(made);
    expect(damaged.map(({ address }) => address)).toEqual([made[1]]);
    expect(damaged[0]!.error).toBeInstanceOf(HeapCorruptionError);
    const held = new Set(
      [...own.blocks()].filter(({ state }) => state === 'live').map(({ address }) => address),
    );
    expect(made.map((address) => held.has(address))).toEqual(
      checks === 'standard' ? [false, true, false] : expect.anything(),
    );
    expect(own.threads()).toHaveLength(1);
    own.detach();
  });
});

describe('the slot', () => {
  test('is free afterwards; reaping again does nothing, also when another thread has it', () => {
    const victim = anotherThread(heap);
    const tenant = tenantOf(victim);
    const kept = victim.alloc(40);
    expect(heap.threads().length).toBe(2);
    expect(heap.reap(tenant).owned).toEqual([kept]);
    expect(heap.threads().length).toBe(1);
    expect(heap.reap(tenant)).toMatchObject({ ...tenant, owned: [], returnedBlocks: 0 });
    const next = anotherThread(heap);
    expect(next.threadSlot).toBe(tenant.slot);
    const theirs = next.alloc(40);
    expect(heap.reap(tenant).owned).toEqual([]);
    expect([...heap.blocks()].find(({ address }) => address === theirs)?.state).toBe('live');
    expect(heap.threads().map(({ state }) => state)).toEqual(['active', 'active']);
    heap.reap(tenantOf(next));
  });

  test('bad names are refused', () => {
    for (const id of [-1, 1.5, Number.NaN, 77, 2 ** 40]) expect(() => heap.reap(id)).toThrow(RangeError);
    expect(() => heap.reap({ slot: 9, generation: 1 })).toThrow(RangeError);
    expect(() => heap.reap({ slot: 2, generation: 1 })).toThrow('no thread slot');
    expect(() => heap.reap('0' as unknown as number)).toThrow(TypeError);
    expect(() => heap.reap(null as unknown as number)).toThrow(TypeError);
    expect(() => heap.reap(0)).toThrow('the calling thread');
    expect(() => heap.reap(tenantOf(heap))).toThrow('the calling thread');
    const victim = anotherThread(heap);
    expect(() => heap.reap(0)).toThrow('2 slots are of thread 0');
    die(victim);
    expect(heap.reap(0)).toMatchObject(tenantOf(victim));
  });

  test('outlives 1,000 tenants that die', () => {
    for (let generation = 1; generation <= 1000; generation++) {
      const victim = anotherThread(heap);
      expect(tenantOf(victim)).toEqual({ slot: 2, generation });
      for (const address of [victim.alloc(24), victim.alloc(24)]) victim.free(address);
      victim.alloc(16);
      heap.reap(tenantOf(victim), { reclaim: true });
    }
    expectWholeRegion();
  });

  test('a detached heap reaps nothing', () => {
    const own = Heap.create({ byteLength: 64 * KiB });
    own.detach();
    expect(() => own.reap(5)).toThrow(DetachedError);
    expect(() => own.recover()).toThrow(DetachedError);
  });
});

describe('recover', () => {
  test('reaps who is known to be dead, and nobody else', () => {
    const [first, second, third] = [anotherThread(heap), anotherThread(heap), anotherThread(heap)];
    first.alloc(8);
    die(first);
    die(third);
    expect(heap.threads().map(({ state }) => state)).toEqual(['active', 'dead', 'active', 'dead']);
    expect(heap.recover().map(({ slot }) => slot)).toEqual([2, 4]);
    expect(heap.recover()).toEqual([]);
    heap.reap(tenantOf(second));
  });

  test('leaves no cache behind: a full heap takes those of the dead back before it says so', () => {
    const victim = anotherThread(heap);
    const most = Array.from({ length: 3000 }, () => victim.alloc(200)).filter((address) => address !== NULL);
    for (const address of most) victim.free(address);
    const rest: Address[] = [];
    for (let address = heap.alloc(500); address !== NULL; address = heap.alloc(500)) rest.push(address);
    die(victim);
    expect(heap.alloc(500)).not.toBe(NULL);
    expect(heap.recover().map(({ slot, returnedBlocks }) => [slot, returnedBlocks])).toEqual([[2, 0]]);
  });

  test('a full heap leaves what the dead owned to who reaps them', () => {
    const victim = anotherThread(heap);
    const owned = [victim.alloc(3000), victim.alloc(40)];
    die(victim);
    const most: Address[] = [];
    for (let address = heap.alloc(500); address !== NULL; address = heap.alloc(500)) most.push(address);
    expect(heap.threads()).toMatchObject([{}, { state: 'dead', ownedBlocks: 2 }]);
    expect(heap.recover({ reclaim: true })).toMatchObject([{ slot: 2, owned }]);
    expect(heap.alloc(3000)).toBe(owned[0]);
    for (const address of [...most, owned[0]!]) heap.free(address);
    expectWholeRegion();
  });
});

describe('locks', () => {
  test('of a dead thread are taken over at once, several and in any order', () => {
    const victim = anotherThread(heap);
    const locks = [1, 2, 3].map(() => heap.allocZeroed(8));
    for (const address of locks) victim.lock(address).acquire();
    expect(heap.lock(locks[1]!).tryAcquire()).toBe(false);
    heap.reap(tenantOf(victim));
    const next = anotherThread(heap);
    for (const address of locks.toReversed()) {
      const lock = next.lock(address);
      lock.acquire();
      expect(lock.owner).toBe(next.thread.token);
      lock.release();
    }
    heap.reap(tenantOf(next));
  });
});

describe('threads that are really killed', () => {
  test('terminated: its cache and its slot come back', async () => {
    const visitor = visit(heap, 'stay');
    visitor.meeting.await(0, 1);
    await visitor.worker.terminate();
    await visitor.gone;
    expect(heap.threads().map(({ threadId }) => threadId)).toContain(visitor.threadId);
    const report = heap.reap(visitor.threadId);
    expect(report.threadId).toBe(visitor.threadId);
    // Ten were left, one of them under a name.
    expect(report.owned.length).toBe(9);
    expect(heap.reap(visitor.threadId).owned).toEqual([]);
    for (const address of [...report.owned, heap.roots.get('left behind')]) heap.free(address);
    heap.roots.delete('left behind');
    expectWholeRegion();
  });

  test.each(['exitWithLock', 'throwWithLock'] as const)('%s: its lock is had by others', async (act) => {
    const address = heap.allocZeroed(8);
    const visitor = visit(heap, act, address);
    await visitor.gone;
    expect(told(visitor)).toBe(2);
    const lock = heap.lock(address);
    heap.reap(visitor.threadId, { reclaim: true });
    expect(lock.tryAcquire()).toBe(true);
    lock.release();
    heap.roots.delete('left behind');
    heap.free(address);
  });
});
