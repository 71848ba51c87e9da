/** Workers that are terminated in the middle of heavy use: the others go on. */

import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { SpscRing } from '../../src/channels/spsc-ring.ts';
import { SharedMap } from '../../src/containers/map.ts';
import { string } from '../../src/containers/string.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import type { HeavyUserJob } from '../../workers/test-threads/heavy-user.ts';
import { noteSleeps } from './sleeps.ts';

const WORKER = new URL('../../dist/workers/test-threads/heavy-user.js', import.meta.url);
const KILLS = 5;

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 4 * MiB, maxThreads: 4 });
});
afterEach(() => {
  heap.verify();
  heap.detach();
});

/** Starts a worker, and terminates it some ms after it is at work. */
async function kill(use: HeavyUserJob['use'], handle: unknown, afterMs: number): Promise<void> {
  const worker = new Worker(WORKER, { workerData: { heap: heap.handle, use, handle } });
  const { threadId } = worker;
  const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await worker.terminate();
  await gone;
  heap.reap(threadId);
}

test('a map', async () => {
  const map = SharedMap.create(heap, string, string, { shards: 1 });
  for (let round = 0; round < KILLS; round++) {
    await kill('map', map.handle, round * 7);
    map.set('mine', `round ${round}`);
    map.verify();
    expect(map.get('mine')).toBe(`round ${round}`);
    for (const [key, value] of map) if (key !== 'mine') expect(value.startsWith(`${key} = `)).toBe(true);
  }
  map.destroy();
});

test('a channel', async () => {
  const channel = Channel.create(heap, u32, { capacity: 64 });
  for (let round = 0; round < KILLS; round++) {
    await kill('channel', channel.handle, round * 7);
    while (channel.tryRecv().status === 'received');
    // What the dead one held comes late, and what it claimed to send is free.
    while (channel.recv({ timeout: 400 }) !== undefined);
    expect(
      channel.sendAll(
        Array.from({ length: 64 }, (_, index) => index),
        { timeout: 60_000 },
      ),
    ).toBe(64);
    const got: number[] = [];
    while (got.length < 64) got.push(...channel.recvMany(64));
    expect(got.sort((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, index) => index));
  }
  channel.destroy();
});

test('a ring', async () => {
  const ring = SpscRing.create(heap, u32, { capacity: 16 });
  for (let round = 0; round < KILLS; round++) {
    await kill('ring', ring.handle, round * 7);
    const mine = SpscRing.open(heap, ring.handle, u32);
    while (mine.tryRecv().status === 'received');
    expect(mine.sendAll([1, 2, 3], { timeout: 60_000 })).toBe(3);
    expect(mine.recvMany(8)).toEqual([1, 2, 3]);
    mine.release();
  }
  ring.destroy();
});

test('a root: the next in line makes it at once', async () => {
  await kill('root', undefined, 5);
  const sleeps = noteSleeps();
  const made = heap.roots.openOrCreate('made', SharedMap.type(u32, u32), () =>
    SharedMap.create(heap, u32, u32),
  );
  expect(sleeps.length).toBeLessThanOrEqual(1);
  made.set(1, 2);
  expect(heap.roots.open('made', SharedMap.type(u32, u32))!.get(1)).toBe(2);
});
