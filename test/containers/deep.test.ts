/** Depth: what needs no stack, and that what does need one ends with an error and not with a broken heap. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { Arc } from '../../src/containers/arc.ts';
import { arc } from '../../src/containers/arc-field.ts';
import { Box, box } from '../../src/containers/box.ts';
import { SharedMap } from '../../src/containers/map.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { union } from '../../src/containers/union.ts';
import { SharedVec } from '../../src/containers/vec.ts';
import { vec } from '../../src/containers/vec-field.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Link = struct('Link', {
  value: u32,
  get next() {
    return box(Link);
  },
});
const Shared = struct('Shared', {
  get next() {
    return arc(Shared);
  },
});
const Either = struct('Either', {
  get next() {
    return union(Either, Link);
  },
});
const Nest = struct('Nest', {
  get kids() {
    return vec(Nest);
  },
});

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 128 * MiB });
});
afterEach(() => {
  heap.flush();
  heap.verify();
  expect(heap.stats()).toMatchObject({ liveBlocks: 0, used: 0 });
  heap.detach();
});

/** A chain of Boxes, built from its end. */
function chain(length: number): Box<typeof Link> {
  let front = Box.create(heap, Link);
  for (let value = 1; value < length; value++) front = Box.create(heap, Link, { value, next: front });
  return front;
}

test('a list of 1,000,000 nodes goes through a channel, a map, a mutex and an Arc, and drops', () => {
  const channel = Channel.create(heap, box(Link), { capacity: 1 });
  channel.send(chain(1_000_000));
  const map = SharedMap.create(heap, u32, box(Link)).set(1, channel.recv()!);
  channel.destroy();
  const mutex = Mutex.create(heap, Link);
  mutex.with((link) => {
    link.next = map.take(1) as never;
  });
  map.destroy();
  const holder = mutex.with((link) => Box.take(link, 'next')!);
  mutex.destroy();
  const list = SharedVec.create(heap, box(Link), [holder]);
  const owner = Arc.of(heap, list);
  expect(heap.stats().liveBlocks).toBeGreaterThan(1_000_000);
  owner.drop();
  expect(heap.stats().liveBlocks).toBe(0);
});

test('200,000 structs deep: from an object, loaded, copied, in a map', () => {
  const depth = 200_000;
  let init: object = {};
  for (let value = 1; value < depth; value++) init = { value, next: init };
  const held = Box.create(heap, Link, init);
  const list = SharedVec.create(heap, Link, [held.value]);
  let parts = 0;
  for (let part: { next: unknown } | null = list.toArray()[0]!; part; part = part.next as never) parts++;
  expect(parts).toBe(depth);
  const map = SharedMap.create(heap, u32, Link).set(1, list.at(0));
  expect(map.get(1)!.value).toBe(depth - 1);
  for (const each of [map, list]) each.destroy();
  held.drop();
});

test('chains of arcs and of unions are dropped without a stack', () => {
  const depth = 100_000;
  let shared = Arc.create(heap, Shared);
  for (let index = 1; index < depth; index++) shared = Arc.create(heap, Shared, { next: shared });
  const other = shared.clone();
  shared.drop();
  expect(other.value.next).not.toBeNull();
  other.drop();
  let either = Box.create(heap, Either);
  for (let index = 1; index < depth; index++) either = Box.create(heap, Either, { next: either });
  either.drop();
});

test('vecs in vecs, 100,000 deep, are dropped without a stack', () => {
  let top = SharedVec.create(heap, Nest, [{}]);
  for (let index = 1; index < 100_000; index++) {
    const above = SharedVec.create(heap, Nest, [{}]);
    above.at(0).kids = top;
    top = above;
  }
  top.destroy();
});

test('what has no promise of depth throws, and the heap is whole', () => {
  const held = chain(300_000);
  expect(() => JSON.stringify(held)).toThrow(RangeError);
  expect(held.value.value).toBe(299_999);
  held.drop();
  let init: object = {};
  for (let index = 0; index < 100_000; index++) init = { kids: [init] };
  expect(() => Box.create(heap, Nest, init)).toThrow(RangeError);
  // The deepest frames have no stack left for the code that would free their blocks.
  const lost = [...heap.blocks()].filter(({ state }) => state === 'live');
  expect(lost.length).toBeLessThan(100);
  for (const { address } of lost) heap.free(address);
});
