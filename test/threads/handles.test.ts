/** Structures as arguments and results of pool tasks: by their handles, one call on each side. */

import { serialize } from 'node:v8';
import { afterEach, beforeEach, expect, test } from 'vitest';
// The structs are declared alike here and in the workers, which load the built file.
import {
  Arc,
  type ArcHandle,
  Box,
  type BoxHandle,
  box,
  Channel,
  f64,
  Heap,
  MiB,
  Mutex,
  SharedMap,
  SharedVec,
  string,
  struct,
  u32,
} from '../../src/index.ts';
import { createHeapPool, type HeapPool } from '../../src/threads/piscina.ts';

const Point = struct('Point', { x: f64, y: f64 });
const Route = struct('Route', {
  name: string,
  get next() {
    return box(Route);
  },
});
const filename = new URL('../../dist/workers/test-threads/handle-tasks.js', import.meta.url).href;
const MANY = 10_000;
const TASKS = 8;

let heap: Heap;
let pool: HeapPool;
beforeEach(() => {
  heap = Heap.create({ byteLength: 16 * MiB, maxThreads: 8 });
  pool = createHeapPool({ heap, filename, minThreads: 2, maxThreads: 2 });
});
afterEach(async () => {
  await pool.destroy();
  heap.flush();
  heap.verify();
  const live = [...heap.blocks()].filter(({ state }) => state === 'live' || state === 'flight');
  expect(live).toEqual([]);
  heap.detach();
});

/** In bytes. Bun writes the same object longer than Node does. */
const MOST = process.versions.bun === undefined ? 100 : 110;

/** Runs a task; what crosses is small in both directions. */
async function run<R>(name: string, handle: unknown): Promise<R> {
  expect(serialize(handle).length).toBeLessThan(MOST);
  const result: R = await pool.run(handle, { name });
  expect(serialize(result).length).toBeLessThan(MOST);
  return result;
}

test('a Box goes there and another one comes back', async () => {
  let handle = Box.create(heap, Route, { name: 'home'.repeat(MANY) }).move();
  for (let round = 0; round < TASKS; round++) handle = await run<BoxHandle<typeof Route>>('growBox', handle);
  const came = Box.open(heap, handle);
  let parts = 0;
  for (let part: typeof came.value | null = came.value; part; part = part.next) parts++;
  expect(parts).toBe(TASKS + 1);
  expect(came.value.name.startsWith('before before')).toBe(true);
  came.drop();
});

test('an Arc for each task', async () => {
  const arc = Arc.create(heap, Point);
  for (let round = 0; round < TASKS; round++) {
    Arc.open(heap, await run<ArcHandle<typeof Point>>('useArc', arc.clone().move())).drop();
  }
  expect([arc.value.x, arc.strongCount]).toEqual([TASKS, 1]);
  arc.drop();
});

test('a vec', async () => {
  const numbers = SharedVec.create(heap, f64, Array(MANY).fill(7));
  const texts = SharedVec.open(heap, await run<never>('fillVec', numbers.handle), string);
  expect([texts.length, texts.at(-1), numbers.at(-1)]).toEqual([MANY, 'number 7', -1]);
  texts.destroy();
  numbers.destroy();
});

test('a map', async () => {
  const words = SharedMap.create(heap, string, u32);
  for (let index = 0; index < 1000; index++) words.set(`word ${index}`, index);
  const back = SharedMap.open(heap, await run<never>('fillMap', words.handle), u32, string);
  expect([back.size, back.get(999), words.get('visits')]).toEqual([1000, 'word 999', 1]);
  back.destroy();
  words.destroy();
});

test('a channel', async () => {
  const questions = Channel.create(heap, u32, { capacity: MANY });
  const answering = run('answerChannel', questions.handle);
  for (let value = 0; value < 50; value++) questions.send(value);
  questions.close();
  const answers = Channel.open(heap, (await answering) as never, u32);
  expect([...answers]).toEqual(Array.from({ length: 50 }, (_, index) => index * 2));
  answers.destroy();
  questions.destroy();
});

test('arrays of structs, in rows and in columns', async () => {
  const rows = Point.array(heap, MANY);
  const columns = Point.arrayAt(heap, (await run('moveArray', rows.handle)) as never);
  expect([columns.length, columns.at(MANY - 1).x, rows.at(0).x]).toEqual([MANY, 10, 1]);
  for (const { address } of [columns, rows]) heap.free(address);
});

test('a container that all tasks share goes with the last of them', async () => {
  const { liveBlocks } = heap.stats();
  const map = Arc.of(heap, SharedMap.create(heap, string, u32));
  const list = Arc.of(heap, SharedVec.create(heap, string, ['a', 'b']));
  const mutex = Arc.of(heap, Mutex.create(heap, Point));
  const channel = Arc.of(heap, Channel.create(heap, u32, { capacity: 2 * TASKS }));
  const shared = { useSharedMap: map, useSharedVec: list, useSharedMutex: mutex, useSharedChannel: channel };
  const running = Object.entries(shared).flatMap(([name, arc]) => {
    return Array.from({ length: TASKS }, () => run<number | boolean>(name, arc.clone().move()));
  });
  // What the tasks have not come to yet they find all the same.
  for (const arc of Object.values(shared)) arc.drop();
  const results = await Promise.all(running);
  expect(results.slice(0, TASKS).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(results.slice(TASKS, 2 * TASKS)).toEqual(Array(TASKS).fill(2));
  expect(results.slice(2 * TASKS, 3 * TASKS).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(results.slice(3 * TASKS)).toEqual(Array(TASKS).fill(true));
  expect(heap.stats().liveBlocks).toBe(liveBlocks);
});

test('the structures themselves are refused', async () => {
  const made = [
    SharedVec.create(heap, f64),
    SharedMap.create(heap, string, u32),
    Channel.create(heap, u32, { capacity: 1 }),
    Mutex.create(heap, Point),
  ];
  for (const it of [...made, Point.array(heap, 2)]) {
    await expect(pool.run(it)).rejects.toThrow('post an address or a handle instead');
    (it as { destroy?(): void }).destroy?.();
  }
  const box = Box.create(heap, Point);
  await expect(pool.run(box)).rejects.toThrow('post an address or a handle instead');
  await expect(pool.run({ deep: [box] })).rejects.toThrow('post an address or a handle instead');
  box.drop();
  for (const { address, state } of [...heap.blocks()]) if (state === 'live') heap.free(address);
});
