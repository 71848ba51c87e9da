/** A page and four web workers on one heap. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  BlockingNotAllowedError,
  box,
  Channel,
  Heap,
  MiB,
  Mutex,
  SharedMap,
  SharedString,
  string,
  u32,
} from '../../src/index.ts';
import { Parcel, Total } from './parcel.ts';
import { endThreads, Thread } from './thread.ts';

const THREADS = [1, 2, 3, 0];

let heap: Heap;
let wholeBlock: number;
beforeEach(() => {
  heap = Heap.create({ byteLength: 16 * MiB });
  wholeBlock = heap.stats().largestFree;
});
afterEach(() => {
  endThreads();
  heap.detach();
});

/** Four threads that have attached. */
async function startFour(): Promise<Thread[]> {
  const threads = THREADS.map(() => new Thread(heap));
  const slots = await Promise.all(threads.map((thread) => thread.do<number>('attach')));
  expect(slots.sort()).toEqual([2, 3, 4, 5]);
  return threads;
}

/** Expects that all is free once the others have left. */
async function expectNothingLeft(threads: readonly Thread[]): Promise<void> {
  await Promise.all(threads.map((thread) => thread.do('detach')));
  expect(heap.threads()).toHaveLength(1);
  for (const name of heap.roots.names()) heap.roots.delete(name);
  heap.flush();
  heap.verify();
  expect(heap.stats().liveBlocks).toBe(0);
  expect(heap.stats().largestFree).toBe(wholeBlock);
}

test('each has an id and a slot of its own', async () => {
  const threads = await startFour();
  const ids = heap.threads().map(({ threadId }) => threadId);
  expect(new Set(ids).size).toBe(5);
  await expectNothingLeft(threads);
});

test('they allocate and free, and hand parcels over to the page, which awaits them', async () => {
  const parcels = Channel.create(heap, box(Parcel), { capacity: 16 });
  heap.roots.set('parcels', parcels);
  const threads = await startFour();
  const count = 500;
  const sending = threads.map((thread, i) => thread.do<number>('send', { from: THREADS[i]!, count }));
  const next = [0, 0, 0, 0];
  for (let i = 0; i < 4 * count; i++) {
    const parcel = (await parcels.recvAsync({ timeout: 120_000 }))!;
    const { from, number, weight, label } = parcel.value;
    expect(number).toBe(next[from]!++);
    expect(weight).toBe(number / 2);
    expect(label).toBe(`№ ${number} von ${from}`);
    parcel.drop();
  }
  expect(await Promise.all(sending)).toEqual([0, 0, 0, 0]);
  parcels.destroy();
  await expectNothingLeft(threads);
});

test('they count in one map', async () => {
  const words = SharedMap.create(heap, string, u32);
  heap.roots.set('words', words);
  const threads = await startFour();
  const count = 3000;
  const counting = Promise.all(threads.map((thread, i) => thread.do('count', { from: i, count })));
  for (let i = 0; i < count; i++) words.add(`wort ${i % 50} ü`, 1);
  await counting;
  for (let i = 0; i < 50; i++) expect(words.get(`wort ${i} ü`)).toBe((5 * count) / 50);
  words.verify();
  words.destroy();
  await expectNothingLeft(threads);
});

test('they add up under one mutex, asleep, and the page awaits it', async () => {
  const total = Mutex.create(heap, Total);
  heap.roots.set('total', total);
  const threads = await startFour();
  const adding = Promise.all(threads.map((thread) => thread.do('add', { count: 2000 })));
  for (let i = 0; i < 200; i++) await total.withAsync((it) => void it.count++);
  await adding;
  expect(await total.withAsync(({ count }) => count)).toBe(4 * 2000 + 200);
  total.destroy();
  await expectNothingLeft(threads);
});

test('the page may not sleep for a lock: it is told the form that waits', async () => {
  const total = Mutex.create(heap, Total);
  heap.roots.set('total', total);
  const threads = await startFour();
  expect(await threads[0]!.do('hold', { count: 600 })).toBe('held');
  const done = threads[0]!.next();
  expect(() => total.lock()).toThrow(BlockingNotAllowedError);
  expect(() => total.with(() => {})).toThrow('use lockAsync() here');
  const guard = await total.lockAsync();
  guard.unlock();
  await done;
  total.destroy();
  await expectNothingLeft(threads);
});

test('strings come and go, though a page decodes no shared bytes', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(4));
  expect(() => new TextDecoder().decode(shared)).toThrow(TypeError);
  for (const text of ['', 'plain', 'grüße, 世界 🦀', 'ß'.repeat(5000)]) {
    const kept = SharedString.create(heap, text);
    expect(SharedString.open(heap, kept.handle).toString()).toBe(text);
    kept.destroy();
  }
});

test('attaching twice gives the same heap, by its handle or its buffer', () => {
  expect(Heap.attach(heap.handle)).toBe(heap);
  expect(Heap.attach(structuredClone(heap.handle).buffer)).toBe(heap);
});
