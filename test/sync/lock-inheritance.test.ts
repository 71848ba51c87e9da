/** Locks whose owner is gone: who wants them takes them over, and repairs first what they guard. */

import { beforeEach, describe, expect, test } from 'vitest';
import { DeadlockError, HeapCorruptionError, LockTimeoutError, NotOwnerError } from '../../src/errors.ts';
import type { Address } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { ParkLock } from '../../src/sync/park-lock.ts';
import { SpinLock } from '../../src/sync/spin-lock.ts';
import { type Census, Thread } from '../../src/sync/thread.ts';

const ADDRESS = 64 as Address;
let memory: Memory;
let gone: Set<number>;
let census: Census;

beforeEach(() => {
  memory = Memory.create(1024);
  gone = new Set();
  census = { nameOf: (token) => `thread ${token}`, isGone: (token) => gone.has(token) };
});

function threadIn(slot: number, generation = 1): Thread {
  return Thread.inSlot(slot, generation, memory.i32, 64 + slot * 8, census);
}

describe.each([ParkLock, SpinLock])('$name', (LockClass) => {
  function lockOf(thread: Thread, repair?: () => void): ParkLock | SpinLock {
    return new LockClass(memory, ADDRESS, { thread, timeout: 20, ...(repair && { repair }) });
  }

  test('of a living owner is waited for', () => {
    lockOf(threadIn(1)).acquire();
    expect(() => lockOf(threadIn(2)).acquire()).toThrow(LockTimeoutError);
    expect(lockOf(threadIn(2)).tryAcquire()).toBe(false);
  });

  test.each(['acquire', 'tryAcquire'] as const)(
    'of a dead owner is taken over by %s, after a repair',
    (form) => {
      const victim = threadIn(1);
      const heir = threadIn(2);
      lockOf(victim).acquire();
      gone.add(victim.token);
      const seen: number[] = [];
      const lock = lockOf(heir, () => {
        seen.push(lock.owner, memory.i32[heir.held]!, memory.i32[heir.pending]!);
      });
      expect(lock[form]()).toBe(true);
      expect(seen).toEqual([heir.token, ADDRESS / 8, 0]);
      lock.release();
      expect(lock.owner).toBe(0);
      expect(memory.i32[heir.held]).toBe(0);
      lock.acquire();
      lock.release();
      expect(seen.length).toBe(3);
    },
  );

  test('is taken over without blocking the thread', async () => {
    const victim = threadIn(1);
    lockOf(victim).acquire();
    let repairs = 0;
    const lock = lockOf(threadIn(2), () => {
      repairs++;
    });
    const had = lock.acquireAsync({ timeout: 60_000 });
    setTimeout(() => gone.add(victim.token), 20);
    await had;
    expect(repairs).toBe(1);
    lock.release();
  });

  test('of a slot whose next tenant lives is taken over all the same', () => {
    const victim = threadIn(1, 1);
    lockOf(victim).acquire();
    gone.add(victim.token);
    const next = lockOf(threadIn(1, 2));
    next.acquire();
    next.release();
  });

  test('is repaired again when the one who repaired it died', () => {
    const victims = [threadIn(1), threadIn(2)];
    lockOf(victims[0]!).acquire();
    gone.add(victims[0]!.token);
    class Killed extends Error {}
    // A thread that dies in the middle runs no more code of the lock: its word and record stay.
    const died = lockOf(victims[1]!, () => {
      throw new Killed();
    });
    died.poison = () => {};
    expect(() => died.acquire()).toThrow(Killed);
    gone.add(victims[1]!.token);
    let repairs = 0;
    const lock = lockOf(threadIn(3), () => {
      repairs++;
    });
    lock.acquire();
    expect(repairs).toBe(1);
    lock.release();
  });

  test.each(['acquire', 'tryAcquire'] as const)(
    'is left to the next one when the repair did not come to its end in %s',
    async (form) => {
      const victim = threadIn(1);
      lockOf(victim).acquire();
      gone.add(victim.token);
      const heir = threadIn(2);
      const late = lockOf(heir, () => {
        throw new LockTimeoutError(128, 7, 'another', 20);
      });
      for (let round = 0; round < 2; round++) {
        expect(() => late[form]()).toThrow('another');
        expect([memory.i32[heir.held], memory.i32[heir.pending]]).toEqual([0, 0]);
        expect(late.owner).not.toBe(heir.token);
      }
      let repairs = 0;
      const repair = (): void => {
        repairs++;
      };
      const next = lockOf(threadIn(3), repair);
      expect(next[form]()).toBe(true);
      expect(repairs).toBe(1);
      next.release();
      // Who gave up may take it as anybody.
      await lockOf(heir, repair).acquireAsync();
      expect(repairs).toBe(1);
    },
  );

  test('is poisoned when the repair fails: for everybody, for good', async () => {
    const victim = threadIn(1);
    lockOf(victim).acquire();
    gone.add(victim.token);
    const heir = threadIn(2);
    const lock = lockOf(heir, () => {
      throw new HeapCorruptionError(96, 'beyond repair');
    });
    expect(() => lock.acquire()).toThrow('beyond repair');
    expect([memory.i32[heir.held], memory.i32[heir.pending]]).toEqual([0, 0]);
    const other = lockOf(threadIn(3));
    expect(() => other.acquire()).toThrow(HeapCorruptionError);
    expect(() => other.tryAcquire()).toThrow('could not be repaired');
    await expect(other.acquireAsync()).rejects.toThrow(HeapCorruptionError);
    expect(() => lock.acquire()).toThrow('could not be repaired');
  });

  test('once closed is had by nobody, and what it guarded is said to be gone', async () => {
    const lock = lockOf(threadIn(1));
    const other = lockOf(threadIn(2));
    lock.acquire();
    const waiting = other.acquireAsync();
    lock.close();
    await expect(waiting).rejects.toThrow(ReferenceError);
    expect(() => other.acquire()).toThrow(/guards was destroyed/);
    expect(() => other.tryAcquire()).toThrow(ReferenceError);
    expect(() => lock.acquire()).toThrow(ReferenceError);
    expect(() => lock.checkSound()).toThrow(ReferenceError);
    expect(() => lock.release()).toThrow(NotOwnerError);
    for (const slot of [1, 2]) {
      const { held, pending } = threadIn(slot);
      expect([memory.i32[held], memory.i32[pending]]).toEqual([0, 0]);
    }
  });

  test('within something poisoned is not waited for', async () => {
    const [owner, waiter] = [threadIn(1), threadIn(2)];
    const outer = new LockClass(memory, 128 as Address, { thread: owner });
    const inner = (thread: Thread) => new LockClass(memory, ADDRESS, { thread, within: outer });
    outer.acquire();
    inner(owner).acquire();
    expect(inner(waiter).tryAcquire()).toBe(false);
    const waiting = inner(waiter).acquireAsync();
    outer.poison();
    await expect(waiting).rejects.toThrow(HeapCorruptionError);
    expect(() => inner(waiter).acquire()).toThrow(HeapCorruptionError);
    expect(() => inner(waiter).tryAcquire()).toThrow(HeapCorruptionError);
    inner(owner).release();
    expect(inner(waiter).acquire()).toBe(false);
  });

  test('is not taken over twice: the second finds the first one as its owner', () => {
    const victim = threadIn(1);
    lockOf(victim).acquire();
    gone.add(victim.token);
    lockOf(threadIn(2)).acquire();
    expect(lockOf(threadIn(3)).tryAcquire()).toBe(false);
    expect(() => lockOf(threadIn(3)).acquire()).toThrow(LockTimeoutError);
  });

  test('a repair that takes its own lock is a deadlock, and says so', () => {
    const victim = threadIn(1);
    lockOf(victim).acquire();
    gone.add(victim.token);
    const lock = lockOf(threadIn(2), () => lock.acquire());
    expect(() => lock.acquire()).toThrow(DeadlockError);
  });
});
