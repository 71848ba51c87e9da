/** Both locks, one thread: taking, giving back, and what a misused lock says. */

import { beforeEach, describe, expect, test } from 'vitest';
import { DeadlockError, LockTimeoutError, NotOwnerError } from '../../src/errors.ts';
import type { Address } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { CONTENDED } from '../../src/sync/lock.ts';
import { ParkLock } from '../../src/sync/park-lock.ts';
import { SpinLock } from '../../src/sync/spin-lock.ts';
import { Thread } from '../../src/sync/thread.ts';

const ADDRESS = 64 as Address;
const WORD = ADDRESS / 4;

describe.each([
  ['SpinLock', SpinLock],
  ['ParkLock', ParkLock],
])('%s', (_, LockClass) => {
  let memory: Memory;
  let thread: Thread;
  let other: Thread;

  beforeEach(() => {
    memory = Memory.create(256);
    thread = Thread.inSlot(1, 1, new Int32Array(2), 0);
    other = Thread.inSlot(2, 7, new Int32Array(2), 0);
  });

  const lockOf = (owner: Thread, timeout = 10_000) =>
    new LockClass(memory, ADDRESS, { thread: owner, timeout });

  test('zeroed bytes are a free lock', () => {
    expect(lockOf(thread).owner).toBe(0);
    expect(lockOf(thread).address).toBe(ADDRESS);
  });

  test('acquire writes the owner, release clears the word', () => {
    const lock = lockOf(thread);
    expect(lock.acquire()).toBe(false);
    expect(memory.i32[WORD]).toBe(thread.token);
    expect(lock.owner).toBe(thread.token);
    lock.release();
    expect(memory.i32[WORD]).toBe(0);
    expect(lock.owner).toBe(0);
  });

  test('without a thread named, the calling one takes it', () => {
    const lock = new LockClass(memory, ADDRESS);
    lock.acquire();
    expect(lock.owner).toBe(Thread.of(memory).token);
    lock.release();
  });

  test('it can be taken again and again', () => {
    const lock = lockOf(thread);
    for (let i = 0; i < 1000; i++) {
      expect(lock.acquire()).toBe(false);
      lock.release();
    }
  });

  test('tryAcquire takes a free lock and leaves a held one', () => {
    expect(lockOf(thread).tryAcquire()).toBe(true);
    expect(lockOf(thread).tryAcquire(), 'not even its owner takes it twice').toBe(false);
    expect(lockOf(other).tryAcquire()).toBe(false);
    expect(memory.i32[WORD]).toBe(thread.token);
    expect([...other.words]).toEqual([0, 0]);
    lockOf(thread).release();
    expect(lockOf(other).tryAcquire()).toBe(true);
    expect(lockOf(other).owner).toBe(other.token);
  });

  test('two handles of one thread are one owner', () => {
    lockOf(thread).acquire();
    expect(() => lockOf(thread).acquire()).toThrow(DeadlockError);
    lockOf(thread).release();
    expect(memory.i32[WORD]).toBe(0);
  });

  test('taking a lock that the thread holds is an error at once, and the lock stays held', () => {
    const lock = lockOf(thread, 1000);
    lock.acquire();
    expect(() => lock.acquire()).toThrow(DeadlockError);
    expect(() => lock.acquire()).toThrow(
      'lock at 0x00000040 is already held by this thread (thread slot 1 (generation 1))',
    );
    expect(lock.owner).toBe(thread.token);
    expect(thread.words[thread.pending]).toBe(0);
    lock.release();
    expect([...thread.words]).toEqual([0, 0]);
  });

  test('a deadlock is also seen on a word that others wait for', () => {
    const lock = lockOf(thread, 1000);
    lock.acquire();
    memory.i32[WORD]! |= CONTENDED;
    expect(() => lock.acquire()).toThrow(DeadlockError);
  });

  test('giving back a free lock is an error', () => {
    expect(() => lockOf(thread).release()).toThrow(NotOwnerError);
    expect(() => lockOf(thread).release()).toThrow('held by nobody');
    expect([...thread.words]).toEqual([0, 0]);
  });

  test("giving back another thread's lock is an error that names it, and changes nothing", () => {
    lockOf(other).acquire();
    expect(() => lockOf(thread).release()).toThrow(NotOwnerError);
    expect(() => lockOf(thread).release()).toThrow('held by thread slot 2 (generation 7)');
    expect(memory.i32[WORD]).toBe(other.token);
    expect([...thread.words]).toEqual([0, 0]);
  });

  test('the same slot in its next generation is another owner', () => {
    lockOf(other).acquire();
    const next = Thread.inSlot(2, 8, new Int32Array(2), 0);
    expect(() => lockOf(next).release()).toThrow(NotOwnerError);
    expect(() => lockOf(next, 1).acquire()).toThrow(LockTimeoutError);
  });

  test('waiting ends after the timeout, with an error that names the owner', () => {
    lockOf(other).acquire();
    const timeout = 30;
    const began = performance.now();
    let error: unknown;
    try {
      lockOf(thread, timeout).acquire();
    } catch (thrown) {
      error = thrown;
    }
    expect(performance.now() - began).toBeGreaterThanOrEqual(timeout);
    expect(error).toBeInstanceOf(LockTimeoutError);
    expect((error as LockTimeoutError).owner).toBe(other.token);
    expect((error as Error).message).toMatch(
      /^lock at 0x00000040 not had after \d+ ms: it is held by thread slot 2 \(generation 7\)$/,
    );
    expect(lockOf(other).owner).toBe(other.token);
    expect([...thread.words]).toEqual([0, 0]);
    lockOf(other).release();
    expect(memory.i32[WORD]).toBe(0);
  });

  test('a timeout longer than a slice is waited out in slices', () => {
    lockOf(other).acquire();
    const began = performance.now();
    expect(() => lockOf(thread, 120).acquire()).toThrow(LockTimeoutError);
    expect(performance.now() - began).toBeGreaterThanOrEqual(120);
  });

  test.each<unknown>([-8, 0, -0, 4, 12, 65, 8.5, 249, 252, 256, 2 ** 32, Number.NaN, '64', null, undefined])(
    'a lock cannot lie at %s',
    (address) => {
      expect(() => new LockClass(memory, address as Address)).toThrow(RangeError);
    },
  );

  test.each([8, 248])('a lock can lie at %i of 256 bytes', (address) => {
    const lock = new LockClass(memory, address as Address);
    lock.acquire();
    lock.release();
  });

  test.each([0, -0, -1, Number.NaN, Number.NEGATIVE_INFINITY])('a timeout of %d is refused', (timeout) => {
    expect(() => new LockClass(memory, ADDRESS, { timeout })).toThrow(RangeError);
  });
});
