/** Watched workers: whoever dies is reaped, by the proof that there is, and nobody else is. */

import { execFileSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DetachedError, LockTimeoutError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { ReapReport } from '../../src/heap/recovery.ts';
import { SLOT_BYTES, ThreadSlots } from '../../src/heap/slots.ts';
import { RECOVERY_LOCK, readSuperblock } from '../../src/heap/superblock.ts';
import { WatchedWorkers } from '../../src/heap/watch.ts';
import { type Address, KiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import type { End } from '../../workers/test-threads/casualty.ts';
import { anotherThread } from '../misuse/another-thread.ts';
import { STEP } from '../stress/steps.ts';
import { Scene } from './casualties.ts';

const SIGN_WORD = 11;

let scene: Scene;
let heap: Heap;
beforeEach(() => {
  start(new Scene());
});
afterEach(() => heap.detach());

function start(fresh: Scene): void {
  scene = fresh;
  heap = scene.heap;
}

/** Watches until the worker is reaped. */
function reaped(worker: Worker, reclaim = false): Promise<ReapReport> {
  return new Promise((resolve) => heap.watch(worker, { reclaim, onReaped: resolve }));
}

const gone = (worker: Worker): Promise<unknown> => new Promise((resolve) => worker.once('exit', resolve));

/** As on a system that does not tell which threads live: forgets the sign of life of each. */
function forgetSigns(): void {
  const { slots, maxThreads } = readSuperblock(heap.memory);
  for (let slot = 1; slot <= maxThreads; slot++) {
    heap.memory.i32[(slots + (slot - 1) * SLOT_BYTES) / 4 + SIGN_WORD] = 0;
  }
}

describe('a worker with a mutex and blocks in its hands', () => {
  const ends: End[] = ['exit', 'throw', 'exhaust', 'spin'];

  test.each(ends)('%s: its slot is free, its lock can be had, nothing is lost', async (end) => {
    const { worker, meeting } = scene.start(end);
    const { threadId } = worker;
    const report = reaped(worker);
    scene.finish(end, worker, meeting);
    expect(await report).toMatchObject({ threadId, slot: 2, reclaimed: false });
    expect((await report).owned).toHaveLength(20);
    scene.expectSound();
  });

  test.each(ends)('%s, with reclaim: what it owned is freed', async (end) => {
    const { worker, meeting } = scene.start(end);
    const report = reaped(worker, true);
    scene.finish(end, worker, meeting);
    expect(await report).toMatchObject({ reclaimed: true, slot: 2 });
    // The mutex is all that is left.
    expect(heap.stats().liveBlocks).toBe(1);
    scene.expectSound();
  });
});

describe('who blocks gets on without its event loop', () => {
  const ends: End[] = ['exit', 'throw', 'exhaust', 'spin'];

  function blockOn(worker: Worker, end: End, meeting: { await(slot: number, value: number): void }): void {
    const events = vi.fn();
    worker.once('exit', events);
    meeting.await(STEP, 1);
    if (end === 'spin') void worker.terminate();
    const guard = scene.mutex.lock();
    expect(events).not.toHaveBeenCalled();
    guard.unlock();
  }

  test.runIf(process.platform === 'linux').each(ends)('%s, by what the kernel says', async (end) => {
    const { worker, meeting } = scene.start(end, { holds: 100 });
    blockOn(worker, end, meeting);
    // The dead thread's slot is known to be: nobody needs to have watched.
    expect(heap.recover().map(({ slot }) => slot)).toEqual([2]);
    scene.expectSound();
    await gone(worker);
  });

  test.each(ends)('%s, by what its event loop says', async (end) => {
    const { worker, meeting } = scene.start(end, { holds: 300, onMessage: true });
    heap.watch(worker);
    await new Promise((resolve) => worker.once('online', resolve));
    worker.postMessage('fall');
    meeting.await(STEP, 1);
    forgetSigns();
    blockOn(worker, end, meeting);
    await gone(worker);
    scene.expectSound();
  });
});

test.runIf(process.platform === 'linux')(
  'reclaim holds also when the heap was full before the event came',
  async () => {
    const { worker, meeting } = scene.start('spin');
    const reports: ReapReport[] = [];
    heap.watch(worker, { reclaim: true, onReaped: (report) => reports.push(report) });
    const ended = gone(worker);
    meeting.await(STEP, 1);
    void worker.terminate();
    // The lock can be had once the thread has ended; its 'exit' comes later.
    scene.mutex.lock().unlock();
    const most: Address[] = [];
    for (let address = heap.alloc(16 * KiB); address !== NULL; address = heap.alloc(16 * KiB))
      most.push(address);
    for (const address of most) heap.free(address);
    await ended;
    expect(reports).toMatchObject([{ slot: 2, reclaimed: true }]);
    expect(heap.stats().liveBlocks).toBe(1);
    scene.expectSound();
  },
);

describe('a proof', () => {
  /** A worker whose event loop says what it is told to say. */
  class Stub extends EventEmitter {
    threadId = 7;
    times = { idle: 0, active: 0 };
    performance = { eventLoopUtilization: () => this.times };
  }

  function watch(): { worker: Stub; workers: WatchedWorkers; slots: ThreadSlots } {
    const slots = new ThreadSlots(Memory.create(4 * KiB), 256, 4);
    const workers = new WatchedWorkers(slots, vi.fn());
    const worker = new Stub();
    workers.add(worker, {});
    return { worker, workers, slots };
  }

  test('is a loop that ran and was taken down', () => {
    const { worker, workers, slots } = watch();
    expect(workers.isDead(7)).toBe(false);
    worker.times = { idle: 0, active: 3 };
    expect(workers.isDead(7)).toBe(false);
    worker.times = { idle: -1, active: 5 };
    expect(workers.isDead(7)).toBe(true);
    expect(slots.isProvenDead?.(7)).toBe(true);
    expect(slots.isProvenDead?.(8)).toBe(false);
  });

  test.each(['online', 'message'])("is believed when the loop was seen to run at an '%s'", (event) => {
    const { worker, workers } = watch();
    worker.times = { idle: 2, active: 3 };
    worker.emit(event);
    worker.times = { idle: -1, active: 5 };
    expect(workers.isDead(7)).toBe(true);
  });

  test('is not a loop that was never seen to run', () => {
    const { worker, workers } = watch();
    worker.times = { idle: -1, active: 5 };
    expect(workers.isDead(7)).toBe(false);
  });

  test('is not a loop of which nothing is known, nor a worker without any', () => {
    const { worker, workers } = watch();
    worker.times = { idle: 2, active: 3 };
    worker.emit('online');
    worker.times = { idle: 0, active: 0 };
    expect(workers.isDead(7)).toBe(false);
    (worker as { performance?: object | undefined }).performance = undefined;
    expect(workers.isDead(7)).toBe(false);
  });

  test('is the id -1 of a worker that has been joined', () => {
    const { worker, workers } = watch();
    worker.threadId = -1;
    expect(workers.isDead(7)).toBe(true);
  });
});

describe('a worker', () => {
  test('that attaches after watch was called is reaped', async () => {
    const { worker, meeting } = scene.start('exit', { onMessage: true });
    const report = reaped(worker);
    expect(heap.threads()).toHaveLength(1);
    worker.postMessage('fall');
    meeting.await(STEP, 1);
    expect(await report).toMatchObject({ slot: 2 });
    scene.expectSound();
  });

  test('that never attached costs nothing', async () => {
    const onReaped = vi.fn();
    const worker = new Worker('', { eval: true });
    heap.watch(worker, { onReaped });
    await gone(worker);
    expect(onReaped).not.toHaveBeenCalled();
    scene.expectSound();
  });

  test('that ends by itself has left before its end', async () => {
    const onReaped = vi.fn();
    const { worker } = scene.start('well');
    heap.watch(worker, { onReaped });
    await gone(worker);
    expect(onReaped).not.toHaveBeenCalled();
    scene.expectSound();
  });

  test('may be watched twice, by two heaps, and by none again', async () => {
    const other = Heap.create({ byteLength: 64 * KiB });
    const reports = [vi.fn(), vi.fn(), vi.fn()];
    const { worker } = scene.start('exit', { onMessage: true });
    heap.watch(worker, { onReaped: reports[0]! });
    heap.watch(worker, { onReaped: reports[1]! });
    const stop = heap.watch(worker, { onReaped: reports[2]! });
    other.watch(worker, { onReaped: reports[2]! });
    stop();
    stop();
    worker.postMessage('fall');
    await gone(worker);
    expect(reports.reduce((sum, { mock }) => sum + mock.calls.length, 0)).toBe(1);
    expect(reports[2]).not.toHaveBeenCalled();
    other.detach();
    scene.expectSound();
  });

  test('is not listened to any more once it is gone, or not watched, or the heap is detached', async () => {
    const listeners = (worker: Worker): number =>
      ['exit', 'online', 'message'].reduce((sum, event) => sum + worker.listenerCount(event), 0);
    const { worker } = scene.start('well', { onMessage: true });
    const before = listeners(worker);
    const stop = heap.watch(worker);
    expect(listeners(worker)).toBeGreaterThan(before);
    stop();
    expect(listeners(worker)).toBe(before);
    const own = Heap.create({ byteLength: 64 * KiB });
    own.watch(worker);
    own.detach();
    expect(listeners(worker)).toBe(before);
    expect(() => own.watch(worker)).toThrow(DetachedError);
    heap.watch(worker);
    worker.postMessage('fall');
    await gone(worker);
    expect(listeners(worker)).toBe(before);
  });

  test('is not kept by the heap when it is gone', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const watched = await (async () => {
      const { worker } = scene.start('well');
      heap.watch(worker);
      await gone(worker);
      return new WeakRef(worker);
    })();
    for (let i = 0; i < 200 && watched.deref() !== undefined; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      collect();
    }
    expect(watched.deref()).toBeUndefined();
  });

  test('that is watched does not keep the process alive', () => {
    const built = new URL('../../dist/src/index.js', import.meta.url);
    const code = `
      import { Worker } from 'node:worker_threads';
      import { Heap } from ${JSON.stringify(built.href)};
      const worker = new Worker('setInterval(() => {}, 1000)', { eval: true });
      Heap.create().watch(worker);
      worker.unref();
      console.log('done');`;
    const run = execFileSync(process.execPath, ['--input-type=module', '-e', code], { timeout: 300_000 });
    expect(String(run)).toBe('done\n');
  });

  test('that is none is refused, and so is one that has ended', async () => {
    for (const none of [undefined, null, 5, {}, { threadId: 3 }, new EventTarget(), new EventEmitter()]) {
      expect(() => heap.watch(none as Worker)).toThrow(TypeError);
      expect(() => heap.watch(none as Worker)).toThrow("a Worker of 'node:worker_threads'");
    }
    const { worker } = scene.start('well');
    await gone(worker);
    expect(() => heap.watch(worker)).toThrow(RangeError);
    expect(() => heap.watch(worker)).toThrow('has ended');
  });
});

describe('a reaping that fails', () => {
  test('is told to who wants to know it, and the slot stays known as that of a dead thread', async () => {
    heap.detach();
    start(new Scene({ lockTimeout: 500 }));
    const other = anotherThread(heap);
    // Recovery waits for a thread that lives.
    other.lock(RECOVERY_LOCK).acquire();
    const { worker } = scene.start('exit');
    const failed = new Promise<unknown>((resolve) => heap.watch(worker, { onFailed: resolve }));
    expect(await failed).toBeInstanceOf(LockTimeoutError);
    expect(heap.threads().map(({ state }) => state)).toEqual(['active', 'active', 'dead']);
    other.lock(RECOVERY_LOCK).release();
    expect(heap.recover()).toHaveLength(1);
    heap.reap(other.thread);
    scene.expectSound();
  });
});

describe('many', () => {
  test('forty short workers in two slots: each leaves blocks and a lock behind, but for those that end well', async () => {
    const small = new Scene({ maxThreads: 3 });
    const ends: End[] = ['exit', 'throw', 'spin', 'well'];
    for (let turn = 0; turn < 20; turn++) {
      await Promise.all(
        [ends[turn % 4]!, ends[(turn >> 2) % 4]!].map(async (end) => {
          const { worker, meeting } = small.start(end);
          small.heap.watch(worker, { reclaim: true });
          const ended = gone(worker);
          // Two that want the lock: one may have to wait for the other's death.
          while (end === 'spin' && meeting.load(STEP) !== 1)
            await new Promise((resolve) => setTimeout(resolve, 1));
          small.finish(end, worker, meeting);
          await ended;
        }),
      );
      expect(small.heap.threads()).toHaveLength(1);
    }
    expect(Math.max(...tokens(small.heap))).toBeGreaterThanOrEqual(20);
    small.expectSound();
    small.heap.detach();
  });

  /** The generations of all slots. */
  function tokens({ memory }: Heap): number[] {
    const { slots, maxThreads } = readSuperblock(memory);
    return Array.from({ length: maxThreads }, (_, i) => memory.i32[(slots + i * SLOT_BYTES) / 4 + 1]!);
  }

  test('a thread id that is given again does the living no harm', () => {
    const [dead, living] = [anotherThread(heap), anotherThread(heap)];
    const [lost, kept] = [dead.alloc(40), living.alloc(40)];
    const lock = heap.allocZeroed(8);
    living.lock(lock).acquire();
    const { slot, generation } = dead.thread;
    // Both have the id of this thread: the dead one is named by its slot and generation.
    heap.reap({ slot, generation });
    const states = new Map([...heap.blocks()].map(({ address, state }) => [address, state]));
    expect([states.get(lost), states.get(kept)]).toEqual(['orphan', 'live']);
    expect(heap.lock(lock).tryAcquire()).toBe(false);
    expect(heap.threads().map(({ state }) => state)).toEqual(['active', 'active']);
    expect(() => heap.lock(lock).acquire(60)).toThrow(/not had after/);
    living.lock(lock).release();
    heap.reap(living.thread);
  });
});

describe('a slot that is being taken', () => {
  test("is nobody's yet, and is free again when the thread dies at it", () => {
    const { slots: start, maxThreads } = readSuperblock(heap.memory);
    const slots = new ThreadSlots(heap.memory, start, maxThreads);
    const word = (start + SLOT_BYTES) / 4;
    // Thread 77, which gives no sign of life: see src/heap/slots.ts.
    const TAKER = 2 ** 29 + 77 + 1;
    // A tenant died here, and the next one has done no more than to ask for the slot.
    heap.memory.i32[word + 1] = 5;
    slots.markDead(2, 5);
    heap.memory.i32[word] = -TAKER;
    expect(heap.threads()).toHaveLength(1);
    expect(heap.recover()).toEqual([]);
    expect(heap.memory.i32[word]).toBe(-TAKER);
    expect(heap.reap(77)).toMatchObject({ threadId: 77, owned: [] });
    expect(heap.memory.i32[word]).toBe(0);
  });
});
