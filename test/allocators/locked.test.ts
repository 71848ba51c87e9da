/** Locked: what the lock around an algorithm adds: counts, timeouts, and that it is always given back. */

import { beforeEach, describe, expect, test } from 'vitest';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import { Locked, type LockedOptions, type LockKind } from '../../src/allocators/locked.ts';
import { DeadlockError, InvalidFreeError, LockTimeoutError } from '../../src/errors.ts';
import { type Address, KiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { ParkLock } from '../../src/sync/park-lock.ts';
import { SpinLock } from '../../src/sync/spin-lock.ts';
import { Thread } from '../../src/sync/thread.ts';

const BYTES = 16 * KiB;
let memory: Memory;
let locked: Locked<LinkedListAllocator>;

beforeEach(() => {
  memory = Memory.create(BYTES);
  locked = Locked.create(memory, { allocator: LinkedListAllocator, lockTimeout: 20 });
});

test('parks by default, spins when told, and attach reads which', () => {
  expect(locked.lock).toBeInstanceOf(ParkLock);
  expect(Locked.attach(memory, 0).lock).toBeInstanceOf(ParkLock);
  Locked.create(memory, { allocator: LinkedListAllocator, lock: 'spin' });
  expect(Locked.attach(memory, 0).lock).toBeInstanceOf(SpinLock);
});

test('takes the lock once for each call', () => {
  const acquisitions = () => locked.stats().lockAcquisitions!;
  let before = acquisitions();
  const cost = (call: () => unknown): number => {
    call();
    const now = acquisitions();
    const taken = now - before - 1;
    before = now;
    return taken;
  };
  let block = NULL;
  expect(cost(() => (block = locked.alloc(40)))).toBe(1);
  expect(cost(() => locked.allocZeroed(40))).toBe(1);
  expect(cost(() => locked.resize(block, 48))).toBe(1);
  expect(cost(() => locked.sizeOf(block))).toBe(0);
  expect(cost(() => locked.free(block))).toBe(1);
  expect(cost(() => locked.free(NULL))).toBe(0);
  expect(cost(() => locked.verify())).toBe(1);
  expect(cost(() => [...locked.blocks()])).toBe(1);
  expect(locked.stats().lockContended).toBe(0);
});

test('the capacity is the whole region', () => {
  expect(locked.stats().capacity).toBe(BYTES);
});

test('every call gives the lock back, also when it throws', () => {
  const block = locked.alloc(40);
  const calls: (() => unknown)[] = [
    () => locked.alloc(Number.NaN),
    () => locked.alloc(8, 3),
    () => locked.alloc(2 ** 40),
    () => locked.free((block + 8) as Address),
    () => locked.resize((block + 8) as Address, 8),
    () => locked.resize(block, -1),
    () => locked.realloc((block + 8) as Address, 8),
    () => locked.extend(-1),
    () => locked.extend(8),
    () => locked.stats(),
    () => locked.blocks().next(),
  ];
  for (const call of calls) {
    try {
      call();
    } catch {
      // What it throws is tested elsewhere.
    }
    expect(locked.lock.owner, String(call)).toBe(0);
  }
});

describe('while another thread holds the lock', () => {
  const other = Thread.inSlot(9, 1, new Int32Array(2), 0);
  let block: Address;

  beforeEach(() => {
    block = locked.alloc(40);
    new ParkLock(memory, locked.lock.address, { thread: other }).acquire();
  });

  test('each call ends with LockTimeoutError and has changed nothing', () => {
    const before = Buffer.from(memory.u8.subarray(128));
    for (const call of [
      () => locked.alloc(8),
      () => locked.allocZeroed(8),
      () => locked.free(block),
      () => locked.resize(block, 8),
      () => locked.realloc(block, 400),
      () => locked.extend(8),
      () => locked.stats(),
      () => locked.verify(),
      () => locked.blocks().next(),
    ]) {
      expect(call).toThrow(LockTimeoutError);
      expect(call).toThrow('held by thread slot 9');
    }
    expect(before.equals(memory.u8.subarray(128))).toBe(true);
  });

  test('sizeOf needs no lock', () => {
    expect(locked.sizeOf(block)).toBe(40);
  });
});

test('a call from within the locked section is a deadlock at once', () => {
  locked.acquire();
  expect(() => locked.alloc(8)).toThrow(DeadlockError);
  locked.lock.release();
  expect(locked.alloc(8)).not.toBe(NULL);
});

test('blocks() is one moment: what happens in between does not show', () => {
  const all = Array.from({ length: 10 }, () => locked.alloc(8));
  const shown = locked.blocks();
  const first = shown.next().value!;
  for (const address of all) locked.free(address);
  expect([first, ...shown].filter(({ state }) => state === 'live').length).toBe(10);
});

test('blocks of a thread in a slot name it as their owner', () => {
  const thread = Thread.inSlot(7, 3, new Int32Array(2), 0);
  const mine = Locked.attach(memory, 0, thread);
  const address = mine.alloc(8);
  expect([...locked.blocks()].find((block) => block.address === address)).toMatchObject({
    state: 'live',
    owner: 7,
  });
  locked.free(address);
  expect([...mine.blocks()].every(({ state, owner }) => state === 'free' && owner === 0)).toBe(true);
});

describe('shared and orphaned blocks', () => {
  const slots = [1, 2].map((slot) => Thread.inSlot(slot, 5, new Int32Array(2), 0));
  const stateOf = (address: Address) => {
    const { state, owner } = [...locked.blocks()].find((block) => block.address === address)!;
    return `${state} ${owner}`;
  };

  test('a shared block belongs to no thread and is freed as any other', () => {
    const mine = Locked.attach(memory, 0, slots[0]);
    const address = mine.alloc(8);
    expect(stateOf(address)).toBe('live 1');
    expect(locked.tryShare(address)).toBe(true);
    expect(stateOf(address)).toBe('shared 0');
    expect(locked.tryShare((address + 8) as Address)).toBe(false);
    locked.verify();
    locked.free(address);
    expect(locked.tryShare(address)).toBe(false);
  });

  test('leave() leaves the blocks of one tenant of a slot, and no others', () => {
    const [mine, theirs] = slots.map((thread) => Locked.attach(memory, 0, thread)) as [Locked, Locked];
    const next = Locked.attach(memory, 0, Thread.inSlot(1, 6, new Int32Array(2), 0));
    const [a, b, c, shared] = [mine.alloc(8), theirs.alloc(8), next.alloc(8), mine.alloc(8)] as const;
    mine.tryShare(shared);
    mine.leave();
    expect([a, b, c, shared].map(stateOf)).toEqual(['orphan 0', 'live 2', 'live 1', 'shared 0']);
    locked.verify();
    for (const address of [a, b, c, shared]) locked.free(address);
    expect(locked.stats().liveBlocks).toBe(0);
  });
});

describe('options', () => {
  test.each<object>([
    { lock: 'ticket' },
    { lockTimeout: 0 },
    { lockTimeout: -1 },
    { lockTimeout: Number.NaN },
    { start: 4 },
    { start: BYTES },
    { byteLength: 0 },
    { byteLength: 127 },
    { byteLength: 200 },
    { byteLength: BYTES + 1 },
    { byteLength: Number.NaN },
  ])('%j is refused', (options) => {
    const wanted = { allocator: LinkedListAllocator, ...options } as LockedOptions<LinkedListAllocator>;
    expect(() => Locked.create(memory, wanted)).toThrow(RangeError);
  });

  test('the lock is free after create, whatever lay there', () => {
    memory.u8.fill(0xff);
    for (const lock of ['spin', 'park'] satisfies LockKind[]) {
      const fresh = Locked.create(memory, { allocator: LinkedListAllocator, lock });
      expect(fresh.lock.owner).toBe(0);
      expect(fresh.stats()).toMatchObject({ lockAcquisitions: 1, lockContended: 0 });
      fresh.free(fresh.alloc(8));
      expect(() => fresh.free(8 as Address)).toThrow(InvalidFreeError);
    }
  });
});
