/** Blocks that belong to no thread, and locks that lie in the heap. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { threadId } from '#platform';
import { DeadlockError, InvalidFreeError, LockTimeoutError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { ThreadSlots } from '../../src/heap/slots.ts';
import { readSuperblock } from '../../src/heap/superblock.ts';
import { type Address, KiB, NULL, toAddress } from '../../src/memory/address.ts';
import { ref } from '../../src/structs/reference.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { ParkLock } from '../../src/sync/park-lock.ts';

const Node = struct('Node', {
  value: u32,
  get next() {
    return ref(Node);
  },
});
let heap: Heap;

beforeEach(() => {
  heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 2, lockTimeout: 60 });
});

afterEach(() => heap.detach());

const blockAt = (address: Address) => [...heap.blocks()].find((block) => block.address === address);

describe('share', () => {
  test.each([true, false])("marks a block as nobody's, with caches: %s; again does no harm", (cache) => {
    const own = Heap.create({ byteLength: 256 * KiB, maxThreads: 2, cache });
    for (const size of [8, 100, 5000, 100_000]) {
      const address = own.alloc(size);
      const block = () => [...own.blocks()].find((found) => found.address === address);
      expect(block()).toMatchObject({ state: 'live', owner: own.threadSlot });
      own.share(address);
      expect(block()).toMatchObject({ state: 'shared', owner: 0 });
      own.share(address);
      expect(own.tryShare(address)).toBe(true);
      expect(own.sizeOf(address)).toBeGreaterThanOrEqual(size);
      own.free(address);
      expect(block()?.state).not.toBe('shared');
    }
    own.flush();
    own.verify();
    own.detach();
  });

  test('of what is no live block is refused, or answered with false, and changes nothing', () => {
    const live = heap.alloc(100);
    const freed = heap.alloc(100);
    const gone = heap.alloc(20_000);
    heap.free(freed);
    heap.free(gone);
    const before = Buffer.from(heap.memory.u8);
    for (const address of [
      NULL,
      freed,
      gone,
      live + 8,
      live + 1,
      live - 8,
      8,
      -8,
      2 ** 32,
      1.5,
      Number.NaN,
    ]) {
      expect(() => heap.share(address as Address), String(address)).toThrow(InvalidFreeError);
      expect(heap.tryShare(address as Address), String(address)).toBe(false);
    }
    expect(before.equals(heap.memory.u8)).toBe(true);
    expect(blockAt(live)).toMatchObject({ state: 'live' });
  });

  test("a resized or moved block stays shared or becomes this thread's, and is freed once", () => {
    const [address, wall] = [heap.alloc(100), heap.alloc(100)].sort((a, b) => a - b) as [Address, Address];
    heap.share(address);
    expect(heap.resize(address, 104)).toBe(true);
    expect(blockAt(address)).toMatchObject({ state: 'shared' });
    const moved = heap.realloc(address, 4000);
    expect(moved).not.toBe(address);
    expect(blockAt(moved)).toMatchObject({ state: 'live', owner: 1 });
    expect(() => heap.free(address)).toThrow(InvalidFreeError);
    heap.free(moved);
    heap.free(wall);
  });

  test('storing a view in a ref marks its block', () => {
    const [a, b] = [heap.new(Node, { value: 1 }), heap.new(Node, { value: 2 })];
    expect(blockAt(b.address)).toMatchObject({ state: 'live' });
    a.next = b;
    expect(blockAt(b.address)).toMatchObject({ state: 'shared' });
    expect(blockAt(a.address)).toMatchObject({ state: 'live' });
  });
});

describe('lock(address)', () => {
  test("is a lock of this thread's slot, anywhere in the heap", () => {
    const address = heap.allocZeroed(32);
    const lock = heap.lock(toAddress(address + 8));
    expect(lock.address).toBe(address + 8);
    lock.acquire();
    expect(lock.owner & 0xff).toBe(heap.threadSlot);
    expect(() => lock.acquire()).toThrow(DeadlockError);
    expect(() => heap.lock(toAddress(address + 8)).acquire()).toThrow(`thread ${threadId()} (slot 1)`);
    heap.lock(toAddress(address + 16)).acquire();
    heap.lock(toAddress(address + 16)).release();
    lock.release();
    expect(lock.owner).toBe(0);
    heap.free(address);
    heap.verify();
  });

  test('waits for as long as the heap says, then names the owner', () => {
    const address = heap.allocZeroed(8);
    const { slots, maxThreads } = readSuperblock(heap.memory);
    const other = new ThreadSlots(heap.memory, slots, maxThreads).take();
    new ParkLock(heap.memory, address, { thread: other }).acquire();
    const began = performance.now();
    expect(() => heap.lock(address).acquire()).toThrow(LockTimeoutError);
    expect(performance.now() - began).toBeGreaterThanOrEqual(60);
    expect(() => heap.lock(address).acquire()).toThrow(`held by thread ${threadId()} (slot 2)`);
  });

  test('does not wait for a thread that left with the lock in its hands', () => {
    const address = heap.allocZeroed(8);
    const { slots, maxThreads } = readSuperblock(heap.memory);
    const table = new ThreadSlots(heap.memory, slots, maxThreads);
    const other = table.take();
    new ParkLock(heap.memory, address, { thread: other }).acquire();
    table.giveBack(other);
    heap.lock(address).acquire();
    expect(heap.lock(address).owner).toBe(heap.thread.token);
    heap.lock(address).release();
  });

  test('wants a multiple of 8 in the memory', () => {
    for (const address of [0, 4, 12, 1.5, -8, heap.memory.byteLength, 2 ** 32, Number.NaN]) {
      expect(() => heap.lock(address as Address), String(address)).toThrow(RangeError);
    }
  });
});
