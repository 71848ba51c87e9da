/** What lies in a block, as its bytes tell: for reports of what is live. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  Arc,
  Box,
  Channel,
  contentOf,
  f64,
  Heap,
  InvalidFreeError,
  MiB,
  Mutex,
  NULL,
  SharedMap,
  SharedVec,
  string,
  struct,
  toAddress,
  u32,
  vec,
} from '../../src/index.ts';

const Named = struct('ContentNamed', { name: string, tags: vec(string) });
const Plain = struct('ContentPlain', { x: f64 });

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: MiB });
});
afterEach(() => heap.detach());

/** How often each content comes among the live blocks. */
function contents(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { address, state } of heap.blocks()) {
    if (state !== 'live' && state !== 'shared') continue;
    const content = contentOf(heap, address) ?? 'says nothing';
    counts[content] = (counts[content] ?? 0) + 1;
  }
  return counts;
}

test('is a struct by name, where it owns something, and what that owns', () => {
  heap.new(Named, { name: 'Ada', tags: ['a', 'b'] });
  expect(contents()).toEqual({
    'struct ContentNamed': 1,
    SharedString: 3,
    'SharedVec of string': 1,
    // The vec's elements.
    'says nothing': 1,
  });
});

test('is an array of structs, where they own something', () => {
  for (const layout of ['rows', 'columns'] as const) Named.array(heap, 3, { layout });
  Plain.array(heap, 4);
  expect(contents()).toEqual({ 'array of 3 ContentNamed': 2, 'says nothing': 1 });
});

test('is a container, and what it was made for', () => {
  SharedMap.create(heap, string, u32);
  SharedVec.create(heap, vec(u32));
  Channel.create(heap, Named, { capacity: 2 });
  Mutex.create(heap, Plain);
  Box.create(heap, Plain, { x: 1 });
  Arc.create(heap, Plain, { x: 1 });
  expect(contents()).toMatchObject({
    'SharedMap of u32': 1,
    'SharedVec of vec(u32)': 1,
    'Channel of ContentNamed': 1,
    'Mutex of ContentPlain': 1,
    'Box of ContentPlain': 1,
    'Arc of ContentPlain': 1,
    'Arc target of ContentPlain': 1,
  });
});

test('is not told by what owns nothing, nor by bytes', () => {
  heap.new(Plain, { x: 1 });
  heap.memory.bytes(heap.alloc(100), 100).fill(0xff);
  expect(contents()).toEqual({ 'says nothing': 2 });
});

test('is not that of a block that was there before', () => {
  const { address } = heap.new(Named);
  heap.delete(heap.at(Named, address));
  const again = heap.alloc(Named.size + 8);
  expect(again).toBe(address);
  expect(contentOf(heap, again)).toBeUndefined();
});

test('of what is no live block is refused', () => {
  const address = heap.alloc(16);
  heap.free(address);
  for (const wrong of [NULL, address, toAddress(address + 8)]) {
    expect(() => contentOf(heap, wrong)).toThrow(InvalidFreeError);
  }
});
