/** A thread that may not block, as a page's main thread: it spins, then says which form to use there. */

import { describe, expect, test, vi } from 'vitest';
import { BlockingNotAllowedError, DeadlockError, LockTimeoutError } from '../../src/errors.ts';
import type { Address } from '../../src/memory/address.ts';
import * as atomics from '../../src/memory/atomics.ts';
import { Memory } from '../../src/memory/memory.ts';
import { ParkLock } from '../../src/sync/park-lock.ts';
import { SpinLock } from '../../src/sync/spin-lock.ts';
import { Thread } from '../../src/sync/thread.ts';

vi.mock('#platform', async (original) => ({ ...(await original<object>()), mayBlock: () => false }));
vi.mock(import('../../src/memory/atomics.ts'), { spy: true });

const ADDRESS = 8 as Address;

describe.each([
  ['SpinLock', SpinLock],
  ['ParkLock', ParkLock],
])('%s', (_, LockClass) => {
  function contested(timeout?: number) {
    const memory = Memory.create(64);
    const theirs = new LockClass(memory, ADDRESS, { thread: Thread.inSlot(2, 1, new Int32Array(2), 0) });
    const thread = Thread.inSlot(1, 1, new Int32Array(2), 0);
    const mine = new LockClass(memory, ADDRESS, timeout === undefined ? { thread } : { thread, timeout });
    theirs.acquire();
    return { memory, mine, theirs, thread };
  }

  test('the thread knows that it may not block', () => {
    expect(Thread.of(Memory.create(64)).mayBlock).toBe(false);
    expect(Thread.inSlot(1, 1, new Int32Array(2), 0).mayBlock).toBe(false);
  });

  test('a free lock is taken as anywhere', () => {
    const { mine, theirs, thread } = contested();
    theirs.release();
    expect(mine.acquire()).toBe(false);
    expect(mine.owner).toBe(thread.token);
    expect(() => mine.acquire()).toThrow(DeadlockError);
    mine.release();
  });

  test('a held lock is spun on, never slept on, and then refused with the name of the async form', () => {
    const { mine, theirs, thread } = contested();
    vi.mocked(atomics.wait).mockImplementation(() => expect.fail('the thread slept'));
    const began = performance.now();
    let error: unknown;
    try {
      mine.acquire();
    } catch (thrown) {
      error = thrown;
    }
    expect(performance.now() - began).toBeGreaterThanOrEqual(50);
    expect(error).toBeInstanceOf(BlockingNotAllowedError);
    expect((error as Error).message).toBe(
      'this thread may not block on the lock at 0x00000008: use acquireAsync() here',
    );
    expect([...thread.words]).toEqual([0, 0]);
    theirs.release();
    expect(mine.acquire()).toBe(false);
    vi.mocked(atomics.wait).mockRestore();
  });

  test('a lock that comes free in the meantime is had by spinning', () => {
    const { mine, theirs, thread } = contested();
    let looks = 0;
    vi.mocked(atomics.atomicLoad).mockImplementation((words, index) => {
      if (++looks === 4) theirs.release();
      return Atomics.load(words, index);
    });
    expect(mine.acquire()).toBe(true);
    vi.mocked(atomics.atomicLoad).mockRestore();
    expect(mine.owner).toBe(thread.token);
    mine.release();
    expect(mine.owner).toBe(0);
  });

  test('a timeout shorter than the spinning still counts', () => {
    const { mine } = contested(5);
    expect(() => mine.acquire()).toThrow(LockTimeoutError);
  });

  test('acquireAsync waits where acquire may not', async () => {
    const { mine, theirs, thread } = contested();
    const had = mine.acquireAsync();
    setTimeout(() => theirs.release(), 5);
    await had;
    expect(mine.owner).toBe(thread.token);
    mine.release();
  });
});
