/** Deeds: what a thread is about to do stands in its slot until it is done. */

import { expect, test } from 'vitest';
import { Arc } from '../../src/containers/arc.ts';
import { Box, box } from '../../src/containers/box.ts';
import { Heap } from '../../src/heap/heap.ts';
import { GiB, MiB } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import {
  ADD,
  clearDeed,
  DROP,
  END,
  LAST,
  LINK,
  noteCount,
  noteDeed,
  noteLast,
  OWN,
  TAKE,
} from '../../src/sync/deed.ts';
import { Thread } from '../../src/sync/thread.ts';

const Node = struct('Node', {
  value: u32,
  get next() {
    return box(Node);
  },
});

/** Notes what the deed of the heap's thread says at each write of its `op`. */
function spy(heap: Heap): number[][] {
  const seen: number[][] = [];
  const { deed } = heap.thread;
  const words = new Proxy(heap.thread.words, {
    set(target, key, value: number) {
      target[Number(key)] = value;
      if (Number(key) === deed + 2) seen.push([...target.subarray(deed, deed + 3)].map((word) => word >>> 0));
      return true;
    },
  });
  Object.defineProperty(heap.thread, 'words', { value: words });
  return seen;
}

test('a deed is noted whole, with its op last, and cleared by its op alone', () => {
  const thread = Thread.inSlot(1, 1, new Int32Array(16), 1);
  expect(thread.deed).toBe(10);
  noteDeed(thread, 0xf000_0000, 24, LINK);
  expect([...thread.words.subarray(10)]).toEqual([0xf000_0000 | 0, 24, LINK, 0, 0, 0]);
  clearDeed(thread);
  expect(thread.words[12]).toBe(0);
  noteCount(thread, 8, 16, DROP, 24, 0xf000_0000);
  expect([...thread.words.subarray(10)]).toEqual([8, 16, DROP, 24, 0xf000_0000 | 0, 0]);
  noteLast(thread);
  expect(thread.words[12]).toBe(LAST);
  expect([...thread.words.subarray(0, 10)].every((word) => word === 0)).toBe(true);
});

test('outside a heap, where nobody could recover a thread, it goes nowhere', () => {
  const thread = Thread.of(Memory.create(64));
  noteDeed(thread, 8, 16, DROP);
  expect([...thread.words]).toEqual([0, 0]);
});

test('a slot starts without a deed', () => {
  const heap = Heap.create({ byteLength: MiB });
  noteDeed(heap.thread, 8, 16, ADD);
  const { buffer } = heap;
  heap.detach();
  const again = Heap.attach(buffer);
  expect([...again.thread.words.subarray(again.thread.deed, again.thread.deed + 3)]).toEqual([0, 0, 0]);
  again.detach();
});

test('moving into a field, out of it, and counting references are deeds', () => {
  const heap = Heap.create({ byteLength: MiB });
  const node = heap.new(Node);
  const cell = node.address + 4;
  const moved = Box.create(heap, Node);
  const block = moved.address;
  const arc = Arc.create(heap, Node);
  const deeds = spy(heap);
  node.set({ next: moved });
  Box.take(node, 'next');
  const target = arc.value.address - 16;
  const clone = arc.clone();
  const reference = clone.address;
  clone.drop();
  arc.drop();
  expect(deeds.filter(([, , op]) => op !== 0)).toEqual([
    [block, cell, LINK],
    [block, cell, TAKE],
    [target, reference + 8, ADD],
    [target, reference + 8, DROP],
    [target, expect.any(Number), DROP],
    [target, expect.any(Number), LAST],
    [target, 0, OWN],
    [target, target, END],
    [target, target, LAST],
  ]);
  expect(deeds.at(-1)![2]).toBe(0);
  heap.detach();
});

test('addresses above 2 GiB are owned, shared and dropped as others are', () => {
  const heap = Heap.create({ byteLength: 3 * GiB });
  const low = heap.alloc(2 * GiB + 64 * MiB);
  const root = Box.create(heap, Node, { value: 1, next: { value: 2, next: { value: 3 } } });
  expect(root.address).toBeGreaterThan(2 * GiB);
  expect(root.value.next!.next!.value).toBe(3);
  const next = Box.open(heap, Box.take(root.value, 'next')!.move());
  root.value.set({ next });
  const arc = Arc.create(heap, Node, root.value);
  const link = arc.downgrade();
  Arc.open(heap, arc.clone().move()).drop();
  expect([arc.strongCount, link.upgrade()!.value.next!.next!.value]).toEqual([1, 3]);
  root.drop();
  heap.free(low);
  heap.verify();
  heap.detach();
});
