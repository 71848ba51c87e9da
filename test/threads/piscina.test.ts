/** The piscina adapter: tasks find the heap, numbers cross, options pass through. */

import { Piscina } from 'piscina';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
// The struct is declared alike here and in the workers, which load the built file.
import {
  atomic,
  DetachedError,
  f64,
  Heap,
  i32,
  MiB,
  struct,
  TooManyThreadsError,
  toAddress,
} from '../../src/index.ts';
import { createHeapPool, currentHeap, HeapPool, type HeapPoolOptions } from '../../src/threads/piscina.ts';
import type { Identity } from '../../workers/test-threads/pool-tasks.ts';

/** Declared alike in the workers, which load the built files. */
const Point = struct('Point', { x: f64, y: f64, visits: atomic(i32) });
const filename = taskFile('pool-tasks');

function taskFile(name: string): string {
  return new URL(`../../dist/workers/test-threads/${name}.js`, import.meta.url).href;
}

let heap: Heap;
let pools: Piscina[];

beforeEach(() => {
  heap = Heap.create({ byteLength: 4 * MiB, maxThreads: 16 });
  pools = [];
});

afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.destroy()));
  heap.detach();
});

// biome-ignore lint/suspicious/noExplicitAny: the default that Piscina itself has
function open<T = any, R = any>(options: Partial<HeapPoolOptions> = {}): HeapPool<T, R> {
  const pool = createHeapPool<T, R>({ heap, filename, minThreads: 1, maxThreads: 1, ...options });
  pools.push(pool);
  return pool;
}

describe.each(['sync', 'async', 'disabled'] as const)("with atomics: '%s'", (atomics) => {
  test('a task finds the heap, and a number is all that crosses', async () => {
    const pool = open<number, number>({ atomics, minThreads: 2, maxThreads: 2 });
    const point = heap.new(Point, { x: 1, y: 2 });
    heap.share(point.address);
    const answers = await Promise.all(Array.from({ length: 20 }, () => pool.run(point.address)));
    expect(point.visits.load()).toBe(20);
    expect(new Set(answers).size).toBe(20);
    for (const answer of answers) {
      const made = heap.at(Point, toAddress(answer));
      expect(made.toJSON()).toMatchObject({ x: 2, y: 3 });
      heap.delete(made);
    }
    heap.delete(point);
    expect(heap.stats().liveBlocks).toBe(0);
  });

  test('a worker keeps its heap and its slot from task to task', async () => {
    const pool = open<null, Identity>({ atomics });
    const first = await pool.run(null, { name: 'identify' });
    const second = await pool.run(null, { name: 'identify' });
    expect(second).toEqual(first);
    expect(first).toMatchObject({ heapId: heap.id, early: true, slot: 2 });
    expect(heap.threads().map(({ threadId }) => threadId)).toEqual([0, first.threadId]);
  });

  test('a task that lets the event loop turn goes on', async () => {
    const pool = open<number, number>({ atomics, concurrentTasksPerWorker: 3 });
    const point = heap.new(Point);
    heap.share(point.address);
    const tasks = Array.from({ length: 9 }, () => pool.run(point.address, { name: 'visitLater' }));
    expect((await Promise.all(tasks)).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });
});

describe('a pool', () => {
  test('is a Piscina and knows its heap', async () => {
    const pool = open();
    expect(pool).toBeInstanceOf(Piscina);
    expect(pool).toBeInstanceOf(HeapPool);
    expect(pool.heap).toBe(heap);
  });

  test('passes options and the workerData of its owner on', async () => {
    const pool = open<null, Identity>({
      workerData: { colour: 'red', sizes: [1, 2] },
      name: 'identify',
      argv: ['--flag'],
      env: { FRUIT: 'pear' },
      maxQueue: 7,
      recordTiming: false,
    });
    const found = await pool.run(null);
    expect(found.workerData).toEqual({ colour: 'red', sizes: [1, 2] });
    expect(found.piscinaData).toEqual(found.workerData);
    expect(found.argv).toEqual(['--flag']);
    expect(found.fruit).toBe('pear');
    expect(pool.options).toMatchObject({ maxQueue: 7, recordTiming: false, minThreads: 1, maxThreads: 1 });
  });

  test('leaves the options that it was given as they were', () => {
    const workerData = Object.freeze({ colour: 'red' });
    open(Object.freeze({ workerData }));
    expect(workerData).toEqual({ colour: 'red' });
  });

  test('takes workerData without a prototype, none, or with the handle of its own heap', async () => {
    const bare = Object.assign(Object.create(null), { colour: 'red' });
    for (const workerData of [bare, undefined, null, { heap: heap.handle }]) {
      const pool = open<null, Identity>({ workerData } as Partial<HeapPoolOptions>);
      expect((await pool.run(null, { name: 'identify' })).heapId).toBe(heap.id);
    }
  });

  test('keeps its workers, unless it is told an idleTimeout', () => {
    expect(open().options.idleTimeout).toBe(Number.POSITIVE_INFINITY);
    expect(open({ idleTimeout: 5 }).options.idleTimeout).toBe(5);
  });

  test('shares its heap with another pool', async () => {
    const [one, other] = [open<number, number>(), open<number, number>()];
    const point = heap.new(Point);
    heap.share(point.address);
    await Promise.all([one, other].flatMap((pool) => [pool.run(point.address), pool.run(point.address)]));
    expect(point.visits.load()).toBe(4);
    expect(heap.threads()).toHaveLength(3);
  });

  test('has its own heap beside a pool with another one', async () => {
    const second = Heap.create({ byteLength: 1 * MiB });
    const ids = await Promise.all(
      [open<null, Identity>(), open<null, Identity>({ heap: second })].map((pool) =>
        pool.run(null, { name: 'identify' }),
      ),
    );
    expect(ids.map(({ heapId }) => heapId)).toEqual([heap.id, second.id]);
    second.detach();
  });

  test('lets a task detach and attach again', async () => {
    expect(await open().run(null, { name: 'reattach' })).toBe(true);
  });

  test('refuses views: an address is what crosses', async () => {
    const pool = open();
    await expect(pool.run(heap.new(Point))).rejects.toThrow('post an address or a handle instead');
  });

  test('goes on after an aborted task, whose thread it ends', async () => {
    const pool = open();
    const point = heap.new(Point);
    heap.share(point.address);
    const controller = new AbortController();
    const aborted = pool.run(point.address, { name: 'spin', signal: controller.signal });
    while (point.visits.load() === 0) await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    await expect(aborted).rejects.toThrow(/abort/i);
    const answer = await pool.run(point.address);
    expect(heap.at(Point, toAddress(answer)).x).toBe(1);
    heap.verify();
  });

  test('closes once its tasks are done', async () => {
    const pool = open<number, number>();
    const point = heap.new(Point);
    heap.share(point.address);
    const task = pool.run(point.address);
    await pool.close();
    expect(heap.at(Point, toAddress(await task)).x).toBe(1);
    expect(pool.threads).toHaveLength(0);
  });
});

describe('thread slots', () => {
  beforeEach(() => {
    heap.detach();
    heap = Heap.create({ byteLength: 1 * MiB, maxThreads: 3 });
  });

  test('bound how many threads a pool has by default', () => {
    const pool = createHeapPool({ heap, filename });
    pools.push(pool);
    expect(pool.maxThreads).toBeLessThanOrEqual(2);
    expect(pool.minThreads).toBeLessThanOrEqual(2);
  });

  test('must be free for as many threads as are asked for', () => {
    const message = /^maxThreads is 3, but only 2 of the heap's 3 thread slots are free: use fewer threads/;
    expect(() => open({ maxThreads: 3 })).toThrow(RangeError);
    expect(() => open({ maxThreads: 3 })).toThrow(message);
    expect(() => open({ minThreads: 3, maxThreads: 3 })).toThrow(/^minThreads is 3, but only 2/);
    expect(open({ maxThreads: 2 }).maxThreads).toBe(2);
  });

  test('that are all taken leave no room for a pool', async () => {
    const pool = open({ minThreads: 2, maxThreads: 2 });
    await Promise.all([pool.run(null, { name: 'identify' }), pool.run(null, { name: 'identify' })]);
    expect(() => open()).toThrow(TooManyThreadsError);
  });

  test('that another pool has taken meanwhile are missed by the task', async () => {
    const late = open({ filename: taskFile('late-attacher') });
    const pool = open({ minThreads: 2, maxThreads: 2 });
    await Promise.all([pool.run(null, { name: 'identify' }), pool.run(null, { name: 'identify' })]);
    await expect(late.run(null)).rejects.toThrow('all 3 thread slots of the heap are taken');
  });
});

describe('bad input', () => {
  const bad = (options: unknown): HeapPool => createHeapPool(options as HeapPoolOptions);

  test.each([undefined, null, {}, { filename }, { heap: {} }, { heap: 5 }])('no heap: %j', (options) => {
    expect(() => bad(options)).toThrow(TypeError);
    expect(() => bad(options)).toThrow('a heap pool needs a heap: createHeapPool({ heap');
  });

  test('the handle of a heap is no heap', () => {
    expect(() => bad({ heap: heap.handle, filename })).toThrow('needs a heap');
  });

  test('a heap that this thread is detached from', () => {
    const gone = Heap.create({ byteLength: 1 * MiB });
    gone.detach();
    expect(() => bad({ heap: gone, filename })).toThrow(DetachedError);
  });

  test.each([[[]], [new Map()], [5], ['text'], [new Uint8Array(4)], [new Date()]])(
    'workerData that is no plain object: %o',
    (workerData) => {
      expect(() => bad({ heap, filename, workerData })).toThrow(TypeError);
      expect(() => bad({ heap, filename, workerData })).toThrow(
        'workerData of a heap pool is a plain object',
      );
    },
  );

  test.each([{ heap: 1 }, { heap: null }, { heap: { id: 'other' } }])('workerData %j', (workerData) => {
    expect(() => bad({ heap, filename, workerData })).toThrow(TypeError);
    expect(() => bad({ heap, filename, workerData })).toThrow('give yours another name');
  });

  test("Piscina's own checks still apply", () => {
    expect(() => bad({ heap, filename: 5 })).toThrow('options.filename must be a string or null');
    expect(() => bad({ heap, filename, maxThreads: 0 })).toThrow('options.maxThreads must be');
  });

  test('currentHeap outside a worker says what to do', () => {
    expect(() => currentHeap()).toThrow(ReferenceError);
    expect(() => currentHeap()).toThrow('in the thread that made the pool, use pool.heap');
  });
});
