/** The field `vec`: empty until something is pushed, recursive, moved and dropped; a tree across threads. */

import { beforeEach, describe, expect, test } from 'vitest';
import { string } from '../../src/containers/string.ts';
import { SharedVec } from '../../src/containers/vec.ts';
import { vec } from '../../src/containers/vec-field.ts';
import { AttachError, OutOfMemoryError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { KiB, MiB, NULL } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import type { View } from '../../src/structs/inference.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { fieldSpelled, hashOfField } from '../../src/structs/schema.ts';
import { struct } from '../../src/structs/struct.ts';
import type { TreeReaderJob, TreeReaderReport } from '../../workers/test-threads/tree-reader.ts';
import { runCrew } from '../stress/crew.ts';

const Node = struct('Node', {
  line: u32,
  name: string,
  get children() {
    return vec(Node);
  },
});
type NodeView = View<typeof Node>;

const Scores = struct('Scores', { values: vec(f64), names: vec(string), table: vec(vec(f64)) });

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 32 * MiB });
  return () => {
    heap.verify();
    heap.detach();
  };
});
const live = (): number => heap.stats().liveBlocks;

describe('an untouched field', () => {
  test('is an empty vec without a block', () => {
    const scores = heap.new(Scores);
    expect(live()).toBe(1);
    expect(scores.values.length).toBe(0);
    expect(scores.values.capacity).toBe(0);
    expect(scores.values.address).toBe(NULL);
    expect([...scores.values]).toEqual([]);
    expect(scores.values.pop()).toBeUndefined();
    expect(scores.values.asTypedArray()).toHaveLength(0);
    scores.values.clear();
    scores.values.shrink();
    scores.values.truncate(0);
    scores.values.sort();
    scores.values.reserve(0);
    scores.values.extend([]);
    expect(() => scores.values.at(0)).toThrow(RangeError);
    expect(JSON.stringify(scores)).toBe('{"values":[],"names":[],"table":[]}');
    expect(live()).toBe(1);
    heap.delete(scores);
    expect(live()).toBe(0);
  });

  test('gets one with the first push, which all objects see', () => {
    const scores = heap.new(Scores);
    const values = scores.values;
    const same = scores.values;
    values.push(1);
    same.push(2);
    expect(values.toArray()).toEqual([1, 2]);
    expect(scores.values.at(-1)).toBe(2);
    expect(SharedVec.open(heap, scores.values.handle).toArray()).toEqual([1, 2]);
    heap.delete(scores);
    expect(live()).toBe(0);
    expect(scores.values).toBeUndefined();
  });
});

describe('assigning', () => {
  test('replaces the contents', () => {
    const scores = heap.new(Scores, { values: [1, 2], names: new Set(['a', 'b']), table: [[1], [], [2, 3]] });
    expect(scores.table.toArray()).toEqual([[1], [], [2, 3]]);
    const { values } = scores;
    scores.set({ values: new Float64Array([3]), names: ['c'] });
    expect(values.toArray()).toEqual([3]);
    expect(scores.names.toArray()).toEqual(['c']);
    scores.set({ values: null, names: [], table: null });
    expect(values.length).toBe(0);
    expect(live()).toBe(1);
    heap.delete(scores);
    expect(live()).toBe(0);
  });

  test('a vec moves it in; its object is of no use then', () => {
    const scores = heap.new(Scores);
    const made = SharedVec.create(heap, string, ['a']);
    const { address } = made;
    scores.names = made;
    expect(scores.names.address).toBe(address);
    expect(() => made.push('b')).toThrow(/released, destroyed or moved/);
    const other = heap.new(Scores);
    other.names = scores.names;
    // What is read from a field is borrowed: it is copied.
    expect(scores.names.toArray()).toEqual(['a']);
    expect(other.names.toArray()).toEqual(['a']);
    const same = other.names;
    other.names = same;
    expect(same.toArray()).toEqual(['a']);
    heap.delete(scores);
    heap.delete(other);
    expect(live()).toBe(0);
  });

  test('a vec of a grandchild drops all but it', () => {
    const root = heap.new(Node, { children: [{ name: 'a', children: [{ name: 'b' }, { name: 'c' }] }] });
    root.children = root.children.at(0).children;
    expect(root.children.toArray().map(({ name }) => name)).toEqual(['b', 'c']);
    heap.delete(root);
    expect(live()).toBe(0);
  });

  test('what does not fit is refused, and changes nothing', () => {
    const scores = heap.new(Scores, { values: [1] });
    const before = live();
    const other = Heap.create({ byteLength: MiB });
    const arena = heap.arena(KiB);
    for (const wrong of [5, 'text', {}, SharedVec.create(other, f64), SharedVec.create(arena, f64)]) {
      expect(() => scores.set({ values: wrong as never })).toThrow(TypeError);
    }
    const names = SharedVec.create(heap, string);
    expect(() => scores.set({ values: names as never })).toThrow(/takes a vec of f64.*got one of string/);
    names.destroy();
    expect(() => scores.set({ names: ['a', 5 as never] })).toThrow(TypeError);
    expect(() => scores.set({ names: ['x'.repeat(33 * MiB)] })).toThrow(OutOfMemoryError);
    expect(scores.values.toArray()).toEqual([1]);
    arena.release();
    expect(live()).toBe(before);
    heap.delete(scores);
    other.detach();
  });

  test('destroying what a field owns empties it', () => {
    const scores = heap.new(Scores, { names: ['a'] });
    const { names } = scores;
    names.destroy();
    expect(scores.names.length).toBe(0);
    names.push('b');
    expect(scores.names.toArray()).toEqual(['b']);
    heap.delete(scores);
    expect(live()).toBe(0);
  });
});

test('taking moves the vec out', () => {
  const scores = heap.new(Scores, { table: [[1, 2], []] });
  const taken = scores.table.remove(0);
  const rest = scores.table.pop() as unknown as SharedVec<typeof f64>;
  expect((taken as unknown as SharedVec<typeof f64>).toArray()).toEqual([1, 2]);
  rest.push(5);
  expect(rest.toArray()).toEqual([5]);
  heap.delete(scores);
  (taken as unknown as SharedVec<typeof f64>).destroy();
  rest.destroy();
  expect(live()).toBe(0);
});

test('is spelled by the struct alone, and told apart by its element', () => {
  expect(Node.layout.fields[2]!.field.describe()).toBe('vec("Node")');
  expect(hashOfField(fieldSpelled('vec("Node")'))).toBe(hashOfField(vec(Node)));
  expect(vec(array(vec(f64), 2)).describe()).toBe('vec(array(vec(f64),2))');
  expect(() => vec(undefined as never)).toThrow(/vec takes a field.*goes in a getter/);
  const scores = heap.new(Scores, { values: [1] });
  heap.memory.u32[(scores.values.address >>> 2) + 1] = 7;
  expect(() => scores.values.at(0)).toThrow(AttachError);
});

describe('a parsed tree', () => {
  test('is a plain struct: built here, read and changed in another thread, deleted as a whole', async () => {
    const text = 'root(a(b,c(d)),ä,e(f,g,h))';
    const root = heap.new(Node);
    parse(text, root);
    const words = SharedVec.create(heap, string, ['one']);
    const jobs = [{ heap: heap.handle, root: root.address, words: words.handle, more: ['two', 'drei ß'] }];
    const [report] = await runCrew<TreeReaderJob, TreeReaderReport>('tree-reader', jobs);
    expect(report!.text).toBe(text);
    expect(report!.counts).toEqual([3, 3]);
    expect(report!.words).toEqual(['one', 'two', 'drei ß']);
    expect(root.children.toArray().map(({ name }) => name)).toEqual(['added', 'ä', 'e']);
    expect(root.children.at(0).children.at(0).name).toBe('inside');
    expect(words.at(-1)).toBe('drei ß');
    words.destroy();
    heap.delete(root);
    heap.flush();
    expect(heap.stats()).toMatchObject({ used: 0, liveBlocks: 0 });
  });

  test('100,000 deep needs no stack to drop', () => {
    let top: SharedVec<typeof Node> | null = null;
    for (let depth = 0; depth < 100_000; depth++) {
      top = SharedVec.create(heap, Node, [{ name: 'n', children: top }]);
    }
    const root = heap.new(Node, { children: top });
    expect(live()).toBe(300_001);
    heap.delete(root);
    expect(live()).toBe(0);
  });
});

/** Reads `name(child,child(…))` into a node. Gives where it stopped. */
function parse(text: string, node: NodeView, start = 0): number {
  let at = start;
  while (at < text.length && !'(),'.includes(text[at]!)) at++;
  node.name = text.slice(start, at);
  if (text[at] !== '(') return at;
  do {
    // The child is complete before the next push may move it.
    node.children.push({});
    at = parse(text, node.children.at(-1), at + 1);
  } while (text[at] === ',');
  return at + 1;
}
