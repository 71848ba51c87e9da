/**
 * Random types that own each other, of random values: they read back as they were given, go through every
 * container and through another thread, and leave the heap as empty as it was.
 */

import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { Arc } from '../../src/containers/arc.ts';
import { Box, box } from '../../src/containers/box.ts';
import { SharedMap } from '../../src/containers/map.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { SharedVec } from '../../src/containers/vec.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { KiB } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import type { BoxMoverJob } from '../../workers/test-threads/box-mover.ts';
import { type AnyStruct, arbitraryFields, arbitraryStruct, type Sample, structOf } from './shapes.ts';

const KINDS: readonly [name: string, options: HeapOptions][] = [
  ['tlsf', { allocator: 'tlsf' }],
  ['tlsf without caches', { allocator: 'tlsf', cache: false }],
  ['linked-list', { allocator: 'linked-list' }],
  ['linked-list without caches', { allocator: 'linked-list', cache: false }],
  ['buddy', { allocator: 'buddy' }],
  ['buddy without caches', { allocator: 'buddy', cache: false }],
];
const DEPTH = 3;

const arbitraryCase = arbitraryStruct(DEPTH).chain((shape) =>
  fc.record({
    shape: fc.constant(shape),
    samples: fc.array(arbitraryFields(shape), { minLength: 2, maxLength: 3 }),
  }),
);

let mover: Worker;
beforeAll(() => {
  mover = new Worker(new URL('../../dist/workers/test-threads/box-mover.js', import.meta.url));
});
afterAll(async () => {
  const gone = new Promise((resolve) => mover.once('exit', resolve));
  mover.postMessage(null);
  await gone;
});

function ask(job: BoxMoverJob): Promise<string[]> {
  return new Promise((resolve, reject) => {
    mover.once('message', resolve);
    mover.removeAllListeners('error').once('error', reject);
    mover.postMessage(job);
  });
}

/** What is in use: the layouts of types that were used once stay. */
function used(heap: Heap): object {
  heap.flush();
  heap.verify();
  const { liveBlocks, used: bytes, largestFree } = heap.stats();
  return { liveBlocks, bytes, largestFree };
}

/** Through every container of this thread. */
function useHere(heap: Heap, type: AnyStruct, samples: readonly Sample[]): void {
  const shows = (value: unknown, { json }: Sample): void => {
    expect(JSON.parse(JSON.stringify(value))).toEqual(json);
  };
  const [first, second] = samples as [Sample, Sample];
  const own = Box.create(heap, type, first.init as never);
  shows(own, first);
  const copy = Box.create(heap, type, own.value as never);
  shows(copy, first);
  own.value.set(second.init as never);
  shows(own, second);
  shows(copy, first);
  const list = SharedVec.create(heap, type, samples.map(({ init }) => init) as never);
  samples.forEach((sample, index) => {
    shows(list.at(index), sample);
  });
  list.insert(0, copy.value as never);
  shows(list.at(0), first);
  list.set(1, list.at(2));
  shows(list.at(1), second);
  const json = JSON.stringify(list);
  const again = SharedVec.create(heap, type, list.toArray() as never);
  expect(JSON.stringify(again)).toBe(json);
  const map = SharedMap.create(heap, u32, type);
  samples.forEach(({ init }, index) => {
    map.set(index, init as never);
  });
  map.set(0, copy.value as never);
  map.set(1, map.get(0) as never);
  for (const key of [0, 1]) map.with(key, (view) => shows(view, first));
  const mutex = Mutex.create(heap, type, second.init as never);
  mutex.with((view) => {
    shows(view, second);
    (view as { set(init: unknown): void }).set(copy.value);
    shows(view, first);
  });
  const shared = Arc.create(heap, type, own.value as never);
  shows(shared, second);
  for (const each of [own, copy, shared]) each.drop();
  for (const each of [list, again, map, mutex]) each.destroy();
}

/** Through the other thread and back. */
async function useThere(
  heap: Heap,
  { shape, samples }: { shape: never; samples: readonly Sample[] },
): Promise<void> {
  const type = structOf(shape);
  const to = Channel.create(heap, box(type), { capacity: samples.length + 1 });
  const from = Channel.create(heap, box(type), { capacity: samples.length + 1 });
  for (const { init } of samples) to.send(Box.create(heap, type, init as never) as never);
  to.close();
  const read = await ask({ heap: heap.handle, shape, from: to.handle as never, to: from.handle as never });
  expect(read.map((text) => JSON.parse(text))).toEqual(samples.map(({ json }) => json));
  for (const { json } of samples) {
    const came = from.recv() as unknown as Box<AnyStruct>;
    expect(JSON.parse(JSON.stringify(came))).toEqual(json);
    came.drop();
  }
  expect(from.recv()).toBeUndefined();
  to.destroy();
  from.destroy();
}

test.each(KINDS)('%s', async (_, options) => {
  await fc.assert(
    fc.asyncProperty(arbitraryCase, async ({ shape, samples }) => {
      const heap = Heap.create({ byteLength: 512 * KiB, maxThreads: 4, ...options });
      const type = structOf(shape);
      useHere(heap, type, samples);
      await useThere(heap, { shape: shape as never, samples });
      const before = used(heap);
      useHere(heap, type, samples);
      await useThere(heap, { shape: shape as never, samples });
      expect(used(heap)).toEqual(before);
      heap.detach();
    }),
    { numRuns: 12 },
  );
});
