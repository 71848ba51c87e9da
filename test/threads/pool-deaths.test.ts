/** Deaths in a pool: whatever ends a worker, its thread is reaped when it has ended, and not before. */

import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Heap } from '../../src/heap/heap.ts';
import type { ReapReport } from '../../src/heap/recovery.ts';
import { KiB, MiB } from '../../src/memory/address.ts';
import { createHeapPool, type HeapPool, type HeapPoolOptions } from '../../src/threads/piscina.ts';
import type { CasualtyJob } from '../../workers/test-threads/casualty.ts';
import { Scene, SMALL } from '../heap/casualties.ts';
import type { Rendezvous } from '../stress/rendezvous.ts';
import { STEP, WORD } from '../stress/steps.ts';

let scene: Scene;
let heap: Heap;
let pools: HeapPool[];
let reports: ReapReport[];

beforeEach(() => start(new Scene({ maxThreads: 8 })));
afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.destroy()));
  heap.detach();
});

function start(made: Scene): void {
  if (heap !== undefined) heap.detach();
  scene = made;
  heap = made.heap;
  pools = [];
  reports = [];
}

const taskFile = (name: string) =>
  new URL(`../../dist/workers/test-threads/${name}.js`, import.meta.url).href;

function open(options: Partial<HeapPoolOptions> = {}): HeapPool<CasualtyJob | number> {
  const pool = createHeapPool({
    heap,
    filename: taskFile('casualty-tasks'),
    minThreads: 1,
    maxThreads: 1,
    onReaped: (report) => reports.push(report),
    ...options,
  });
  pool.on('error', () => {});
  pools.push(pool);
  return pool;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

const hasLock = (meeting: Rendezvous) => until(() => meeting.load(STEP) === 1);

/** How a task with a mutex and blocks in its hands comes to its end. The task has failed then. */
const deaths: Record<string, (pool: HeapPool) => Promise<unknown>> = {
  async 'an aborted task'(pool) {
    const { job, meeting } = scene.job('spin');
    const controller = new AbortController();
    const task = pool.run(job, { signal: controller.signal });
    void hasLock(meeting).then(() => controller.abort());
    await expect(task).rejects.toThrow(/abort/i);
  },
  async 'destroy()'(pool) {
    const { job, meeting } = scene.job('spin');
    const task = pool.run(job).catch((error: Error) => error);
    await hasLock(meeting);
    await pool.destroy();
    expect(await task).toBeInstanceOf(Error);
  },
  async 'close({ force: true })'(pool) {
    const { job, meeting } = scene.job('spin');
    const task = pool.run(job).catch((error: Error) => error);
    await hasLock(meeting);
    await pool.close({ force: true });
    expect(await task).toBeInstanceOf(Error);
  },
  async 'process.exit'(pool) {
    await expect(pool.run(scene.job('exit').job)).rejects.toThrow('exited');
  },
  async 'an uncaught error'(pool) {
    await expect(pool.run(scene.job('throwLater').job)).rejects.toThrow('thrown on purpose');
  },
  async 'an uncaught error, with no lock in its hands'(pool) {
    await expect(pool.run(scene.job('throwLaterUnlocked').job)).rejects.toThrow('thrown on purpose');
  },
  async 'a full JavaScript heap'(pool) {
    await expect(pool.run(scene.job('exhaust').job)).rejects.toThrow(/memory/);
  },
};

describe.each([true, false])('reclaim: %s;', (reclaim) => {
  test.each(Object.keys(deaths))('%s: slot and lock come back, and nothing is lost', async (name) => {
    const options = name === 'a full JavaScript heap' ? { resourceLimits: SMALL } : {};
    const pool = open({ reclaim, closeTimeout: 200, ...options });
    const [worker] = pool.threads;
    const { threadId } = worker!;
    await deaths[name]!(pool);
    await until(() => reports.length === 1);
    expect(reports[0]).toMatchObject({ threadId, slot: 2, reclaimed: reclaim });
    expect(reports[0]!.owned).toHaveLength(20);
    // The mutex can be had; but for it the heap is empty when what was owned is reclaimed.
    scene.mutex.lock({ timeout: 0 }).unlock();
    expect(heap.stats().liveBlocks).toBe(reclaim ? 1 : 21);
    heap.verify();
    // Another worker takes over, and gives its slot back in the end.
    expect(await pool.run(1, { name: 'keep' })).toBe(2);
    await pool.destroy();
    scene.expectSound();
  });
});

describe('a thread that was told to end', () => {
  test("still writes after piscina's workerDestroy: it is reaped at its exit, and not before", async () => {
    start(new Scene({ byteLength: 192 * MiB }));
    const pool = open();
    const { bytes, worker, destroyed } = await abortInAFill(pool);
    // Nothing of the thread has ended yet, and nothing is taken from it.
    expect(destroyed.lastByte).not.toBe(destroyed.firstByte);
    expect(destroyed.reports).toBe(0);
    expect(destroyed.threads).toBe(2);
    expect(() => scene.mutex.lock({ timeout: 0 })).toThrow(/not had after/);
    await once(worker, 'exit');
    // The fill has gone on to its end since, and others may have followed it.
    expect(bytes.at(-1)).not.toBe(destroyed.lastByte);
    expect(reports).toHaveLength(1);
    await pool.destroy();
    scene.expectSound();
  });

  interface Destroyed {
    readonly firstByte: number;
    readonly lastByte: number;
    readonly reports: number;
    readonly threads: number;
  }

  /** Aborts a task while it is in a `fill` that has reached the first byte of its block and not the last. */
  async function abortInAFill(
    pool: HeapPool,
  ): Promise<{ bytes: Uint8Array; worker: Worker; destroyed: Destroyed }> {
    const { job, meeting } = scene.job('fill');
    const controller = new AbortController();
    const task = pool.run(job, { signal: controller.signal }).catch(() => {});
    const [worker] = pool.threads;
    await until(() => meeting.load(WORD) !== 0);
    const address = meeting.load(WORD);
    const bytes = heap.memory.u8.subarray(address, address + 128 * MiB);
    const slots = heap.threads().length;
    let destroyed: Destroyed | undefined;
    pool.once('workerDestroy', () => {
      const [firstByte, lastByte] = [bytes[0]!, bytes.at(-1)!];
      destroyed = { firstByte, lastByte, reports: reports.length, threads: slots };
    });
    // The first rounds touch the pages for the first time, and are slow: easily met.
    await until(() => bytes[0] !== bytes.at(-1));
    controller.abort();
    await task;
    return { bytes, worker: worker!, destroyed: destroyed! };
  }
});

describe('a pool', () => {
  test('whose thread blocks on the lock of a dead worker: it gets on without its event loop', async () => {
    const pool = open();
    const { job, meeting } = scene.job('exit', 1000);
    const task = pool.run(job).catch((error: Error) => error);
    await hasLock(meeting);
    const events = vi.fn();
    pool.threads[0]!.once('exit', events);
    const guard = scene.mutex.lock();
    expect(events).not.toHaveBeenCalled();
    guard.unlock();
    expect(await task).toBeInstanceOf(Error);
    await pool.destroy();
    scene.expectSound();
  });

  test('that ends idle workers gets their slots back', async () => {
    const pool = open({ minThreads: 0, maxThreads: 2, idleTimeout: 0 });
    await Promise.all([pool.run(1, { name: 'keep' }), pool.run(2, { name: 'keep' })]);
    await until(() => heap.threads().length === 1);
    expect(reports.map(({ owned }) => owned.length)).toEqual([1, 1]);
    await pool.destroy();
    scene.expectSound();
  });

  test('whose worker dies before it is ready gets its slot back', async () => {
    const pool = open({ filename: taskFile('casualty-module'), minThreads: 0 });
    // Piscina starts no other worker for it then.
    const task = pool.run(1).catch((error: Error) => error);
    await until(() => reports.length === 1);
    await pool.destroy();
    expect(await task).toBeInstanceOf(Error);
    expect(reports[0]!.owned).toHaveLength(1);
    scene.expectSound();
  });

  test('loses forty workers and has forty others, in two slots', async () => {
    start(new Scene({ byteLength: 256 * KiB, maxThreads: 3 }));
    const pool = open({ reclaim: true });
    for (let turn = 1; turn <= 40; turn++) {
      const { job } = scene.job('exit');
      await expect(pool.run(job)).rejects.toThrow('exited');
      expect(reports).toHaveLength(turn);
    }
    await pool.destroy();
    scene.expectSound();
  });

  test('is listened to no more than needed: many pools share one listener', async () => {
    const before = process.listenerCount('worker');
    const own = open();
    expect(process.listenerCount('worker')).toBeLessThanOrEqual(1);
    for (let i = 0; i < 12; i++) open({ minThreads: 0 });
    expect(process.listenerCount('worker')).toBe(Math.max(before, 1));
    await own.destroy();
  });

  test('has ended with all of its threads when destroy or close resolves', async () => {
    for (const way of ['destroy', 'close'] as const) {
      const pool = open({ maxThreads: 2, minThreads: 2 });
      const { job, meeting } = scene.job('spin');
      const controller = new AbortController();
      const task = pool.run(job, { signal: controller.signal }).catch(() => {});
      await hasLock(meeting);
      controller.abort();
      await pool[way]();
      await task;
      expect(heap.threads()).toHaveLength(1);
    }
    scene.expectSound();
  });
});
