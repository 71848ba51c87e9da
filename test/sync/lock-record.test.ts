/**
 * The record that a thread keeps of its locks: at the moment of each swap `pending` names the lock, and
 * the list of held locks leads to every lock that is held, in whatever order they are given back.
 */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Address } from '../../src/memory/address.ts';
import * as atomics from '../../src/memory/atomics.ts';
import { Memory } from '../../src/memory/memory.ts';
import { CONTENDED, type Lock } from '../../src/sync/lock.ts';
import { ParkLock } from '../../src/sync/park-lock.ts';
import { SpinLock } from '../../src/sync/spin-lock.ts';
import { Thread } from '../../src/sync/thread.ts';

vi.mock(import('../../src/memory/atomics.ts'), { spy: true });

const ADDRESSES = [64, 128, 8, 2048] as const;

describe.each([
  ['SpinLock', SpinLock],
  ['ParkLock', ParkLock],
])('%s', (_, LockClass) => {
  let memory: Memory;
  let thread: Thread;
  let locks: readonly [Lock, Lock, Lock, Lock];

  beforeEach(() => {
    memory = Memory.create(4096);
    // The record lies in shared words, somewhere in the middle.
    thread = Thread.inSlot(1, 1, memory.i32, 900);
    const lockAt = (address: number): Lock => new LockClass(memory, address as Address, { thread });
    locks = [lockAt(ADDRESSES[0]), lockAt(ADDRESSES[1]), lockAt(ADDRESSES[2]), lockAt(ADDRESSES[3])];
  });

  afterEach(() => {
    vi.mocked(atomics.compareExchange).mockRestore();
    vi.mocked(atomics.atomicExchange).mockRestore();
    vi.mocked(atomics.notify).mockRestore();
  });

  /** The addresses on the thread's list, the latest first. */
  function held(): number[] {
    const addresses: number[] = [];
    for (let unit = thread.words[thread.held]!; unit !== 0; unit = memory.i32[unit * 2 + 1]!)
      addresses.push(unit * 8);
    return addresses;
  }

  const pending = () => thread.words[thread.pending]! * 8;

  test('the list runs from the latest lock to the first', () => {
    for (const [i, lock] of locks.entries()) {
      lock.acquire();
      expect(held()).toEqual(ADDRESSES.slice(0, i + 1).toReversed());
      expect(pending()).toBe(0);
    }
    for (const [i, lock] of locks.toReversed().entries()) {
      lock.release();
      expect(held()).toEqual(ADDRESSES.slice(0, 3 - i).toReversed());
      expect(pending()).toBe(0);
    }
  });

  test.each([[[0, 1, 2, 3]], [[1, 0, 3, 2]], [[2, 0, 1, 3]], [[1, 2, 3, 0]], [[3, 1, 0, 2]]])(
    'locks given back in the order %j leave the list',
    (order) => {
      for (const lock of locks) lock.acquire();
      const left = ADDRESSES.toReversed() as number[];
      for (const index of order) {
        locks[index]!.release();
        left.splice(left.indexOf(ADDRESSES[index]!), 1);
        expect(held()).toEqual(left);
        expect(memory.i32[ADDRESSES[index]! / 4]).toBe(0);
        expect(pending()).toBe(0);
      }
    },
  );

  test('a lock taken by tryAcquire is on the list, one that was not had is not', () => {
    expect(locks[0].tryAcquire()).toBe(true);
    const other = Thread.inSlot(2, 1, new Int32Array(2), 0);
    new LockClass(memory, ADDRESSES[1] as Address, { thread: other }).acquire();
    expect(locks[1].tryAcquire()).toBe(false);
    expect(held()).toEqual([ADDRESSES[0]]);
    expect(pending()).toBe(0);
  });

  test('a lock had after waiting is on the list', async () => {
    const other = Thread.inSlot(2, 1, new Int32Array(2), 0);
    const theirs = new LockClass(memory, ADDRESSES[1] as Address, { thread: other });
    theirs.acquire();
    locks[0].acquire();
    const had = locks[1].acquireAsync();
    expect(pending(), 'nothing is pending while the promise waits').toBe(0);
    theirs.release();
    await had;
    expect(held()).toEqual([ADDRESSES[1], ADDRESSES[0]]);
    expect(pending()).toBe(0);
  });

  test('pending names the lock at the moment of each swap, and the list leads to it before it is free', () => {
    const seen: string[] = [];
    const note = (what: string) => seen.push(`${what}: pending ${pending()}, held ${held().join(' ')}`);
    const { compareExchange, atomicExchange } = atomics;
    vi.mocked(compareExchange).mockImplementation((words, index, expected, value) => {
      note('take');
      return Atomics.compareExchange(words, index, expected, value);
    });
    vi.mocked(atomicExchange).mockImplementation((words, index, value) => {
      note('give');
      return Atomics.exchange(words, index, value);
    });
    locks[0].acquire();
    locks[1].tryAcquire();
    locks[0].release();
    locks[1].release();
    expect(seen).toEqual([
      'take: pending 64, held ',
      'take: pending 128, held 64',
      'give: pending 64, held 128',
      'give: pending 128, held ',
    ]);
  });

  test('only a contended word is worth a notify', () => {
    const [lock] = locks;
    lock.acquire();
    lock.release();
    expect(atomics.notify).not.toHaveBeenCalled();
    lock.acquire();
    memory.i32[ADDRESSES[0] / 4]! |= CONTENDED;
    lock.release();
    expect(atomics.notify).toHaveBeenCalledExactlyOnceWith(memory.i32, ADDRESSES[0] / 4, 1);
  });

  test('a list that runs in a circle does not keep a release for ever', () => {
    for (const lock of locks) lock.acquire();
    memory.i32[ADDRESSES[3] / 4 + 1] = ADDRESSES[3] / 8;
    locks[0].release();
    expect(locks[0].owner).toBe(0);
  });
});

test('a parking waiter takes the word with the contended mark, since others may still sleep', () => {
  const memory = Memory.create(64);
  const theirs = new ParkLock(memory, 8 as Address, { thread: Thread.inSlot(2, 1, new Int32Array(2), 0) });
  const thread = Thread.inSlot(1, 1, new Int32Array(2), 0);
  const mine = new ParkLock(memory, 8 as Address, { thread });
  theirs.acquire();
  const marks: number[] = [];
  vi.mocked(atomics.wait).mockImplementation((words, index, value) => {
    marks.push(Atomics.load(words, index));
    expect(value).toBe(marks[0]);
    theirs.release();
    return 'ok';
  });
  expect(mine.acquire()).toBe(true);
  vi.mocked(atomics.wait).mockRestore();
  expect(marks).toEqual([Thread.tokenOf(2, 1) | CONTENDED]);
  expect(memory.i32[2]).toBe(thread.token | CONTENDED);
  vi.mocked(atomics.notify).mockClear();
  mine.release();
  expect(atomics.notify).toHaveBeenCalledTimes(1);
});
