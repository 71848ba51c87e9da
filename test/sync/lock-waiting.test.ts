/** Waiting for a lock that another thread holds: asleep, or with the event loop turning. */

import { expect, test, vi } from 'vitest';
import { LockTimeoutError } from '../../src/errors.ts';
import type { Address } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { CONTENDED } from '../../src/sync/lock.ts';
import { ParkLock } from '../../src/sync/park-lock.ts';
import { SpinLock } from '../../src/sync/spin-lock.ts';
import { Thread } from '../../src/sync/thread.ts';
import type { LockHolderJob } from '../../workers/test-threads/lock-holder.ts';
import { startMember } from '../stress/crew.ts';
import { Rendezvous } from '../stress/rendezvous.ts';

const ADDRESS = 64 as Address;
// As in workers/test-threads/lock-holder.ts, which runs as soon as it is imported.
const HELD = 1;
const LET_GO = 2;

const kinds = [
  ['spin', SpinLock],
  ['park', ParkLock],
] as const;

/** Starts a thread that holds the lock, and returns once it does. */
async function startHolder(lock: 'spin' | 'park', untilContended: boolean) {
  const memory = Memory.create(256);
  const meeting = new Rendezvous(2, 1);
  const job: LockHolderJob = {
    buffer: memory.buffer,
    lock,
    lockAddress: ADDRESS,
    meeting: meeting.buffer,
    untilContended,
  };
  const { worker, report } = startMember<LockHolderJob, string>('lock-holder', job);
  const threadId = worker.threadId;
  await vi.waitUntil(() => meeting.load(0) === HELD, { timeout: 60_000 });
  return { memory, meeting, report, threadId };
}

test.each(kinds)(
  '%s: acquireAsync waits for another thread while the event loop turns',
  async (kind, LockClass) => {
    const { memory, meeting, report } = await startHolder(kind, false);
    const lock = new LockClass(memory, ADDRESS);
    const had = lock.acquireAsync();
    let turns = 0;
    const timer = setInterval(() => {
      if (++turns === 5) meeting.announce(0, LET_GO);
    }, 2);
    await had;
    clearInterval(timer);
    expect(turns, 'the lock was not had before it was given back').toBeGreaterThanOrEqual(5);
    expect(lock.owner).toBe(Thread.of(memory).token);
    lock.release();
    expect(await report).toBe('released');
  },
);

test('park: a sleeper is woken by the release', async () => {
  const { memory, report } = await startHolder('park', true);
  const lock = new ParkLock(memory, ADDRESS, { timeout: 60_000 });
  expect(lock.acquire()).toBe(true);
  expect(lock.owner).toBe(Thread.of(memory).token);
  lock.release();
  expect(memory.i32[ADDRESS / 4]).toBe(0);
  expect(await report).toBe('released');
});

test.each(kinds)(
  '%s: an async waiter marks the word, so that the release wakes it',
  async (kind, LockClass) => {
    const { memory, report } = await startHolder(kind, true);
    const lock = new LockClass(memory, ADDRESS);
    await lock.acquireAsync();
    expect(memory.i32[ADDRESS / 4], 'others may sleep behind it').toBe(Thread.of(memory).token | CONTENDED);
    lock.release();
    expect(await report).toBe('released');
  },
);

test.each(kinds)('%s: a timeout names the thread that holds the lock', async (kind, LockClass) => {
  const { memory, meeting, report, threadId } = await startHolder(kind, false);
  const lock = new LockClass(memory, ADDRESS, { timeout: 20 });
  expect(() => lock.acquire()).toThrow(LockTimeoutError);
  expect(() => lock.acquire()).toThrow(`it is held by thread ${threadId}`);
  await expect(lock.acquireAsync()).rejects.toThrow(`it is held by thread ${threadId}`);
  meeting.announce(0, LET_GO);
  await report;
  expect(lock.acquire()).toBe(false);
  lock.release();
});

test.each(kinds)('%s: acquireAsync gives up after the timeout', async (_, LockClass) => {
  const memory = Memory.create(256);
  const thread = Thread.inSlot(2, 1, new Int32Array(2), 0);
  new LockClass(memory, ADDRESS, { thread }).acquire();
  const lock = new LockClass(memory, ADDRESS, { timeout: 60 });
  const began = performance.now();
  await expect(lock.acquireAsync()).rejects.toThrow(LockTimeoutError);
  expect(performance.now() - began).toBeGreaterThanOrEqual(60);
  expect([...Thread.of(memory).words]).toEqual([0, 0]);
  expect(lock.owner).toBe(thread.token);
});

test.each(kinds)('%s: acquireAsync takes a free lock at once', async (_, LockClass) => {
  const memory = Memory.create(256);
  const lock = new LockClass(memory, ADDRESS);
  const had = lock.acquireAsync();
  expect(lock.owner).toBe(Thread.of(memory).token);
  await had;
  lock.release();
  expect(lock.owner).toBe(0);
});

test.each(kinds)('%s: acquireAsync queues behind its own thread, one after another', async (_, LockClass) => {
  const memory = Memory.create(256);
  const lock = new LockClass(memory, ADDRESS);
  let inside = 0;
  let visits = 0;
  await lock.acquireAsync();
  const visitors = Array.from({ length: 8 }, async () => {
    await lock.acquireAsync();
    expect(++inside).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 1));
    inside--;
    visits++;
    lock.release();
  });
  expect(visits).toBe(0);
  lock.release();
  await Promise.all(visitors);
  expect(visits).toBe(8);
  expect(memory.i32[ADDRESS / 4]).toBe(0);
  expect([...Thread.of(memory).words]).toEqual([0, 0]);
});
