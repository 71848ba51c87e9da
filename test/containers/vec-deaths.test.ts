/** A thread that dies at each single store of each change of a vec: it opens, and owns what it owns once. */

import { afterEach, describe, expect, test, vi } from 'vitest';
import { string } from '../../src/containers/string.ts';
import { SharedVec } from '../../src/containers/vec.ts';
import { vec } from '../../src/containers/vec-field.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, KiB } from '../../src/memory/address.ts';
import type { Field } from '../../src/structs/field.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { sharedBlocks, Victim } from './killed-at-a-store.ts';

vi.mock('../../src/memory/atomics.ts', async (original) => {
  const { mortalAtomics } = await import('./mortal-views.ts');
  return mortalAtomics(await original());
});
afterEach(() => {
  vi.restoreAllMocks();
});

const Wide = struct('Wide', { a: f64, b: f64, c: u32 });
const Named = struct('Named', { id: u32, name: string, tag: string });
const Holder = struct('Holder', { list: vec(f64), words: vec(string) });

type AnyVec = SharedVec<Field>;
type Act = (list: AnyVec) => void;

const make: Record<string, { field: Field; value: (index: number) => unknown; empty: unknown }> = {
  numbers: { field: f64, value: (index) => index * 1.5, empty: 0 },
  texts: { field: string, value: (index) => `text ${index}`, empty: '' },
  structs: { field: Wide, value: (index) => ({ a: index, b: index, c: index }), empty: undefined },
  'structs that own': {
    field: Named,
    value: (index) => ({ id: index, name: `name ${index}`, tag: `tag ${index}` }),
    empty: undefined,
  },
};

/** What may be found besides what was before and what shall be. `lost` is where elements begin to move. */
interface Deed {
  readonly act: (value: (index: number) => unknown) => Act;
  readonly lost?: number;
  /** Which element may be empty, from the end or by index. */
  readonly emptied?: boolean;
}

const DEEDS: Record<string, Deed> = {
  'push with room': { act: (value) => (list) => list.push(value(9) as never) },
  'push that grows': {
    act: (value) => (list) => {
      while (list.length < list.capacity) list.push(value(list.length) as never);
      list.push(value(list.length) as never);
    },
    emptied: true,
  },
  'insert in the middle': { act: (value) => (list) => list.insert(2, value(9) as never), lost: 2 },
  'insert at the end': { act: (value) => (list) => list.insert(list.length, value(9) as never) },
  pop: { act: () => (list) => list.pop(), emptied: true },
  remove: { act: () => (list) => list.remove(1), lost: 1, emptied: true },
  swapRemove: { act: () => (list) => list.swapRemove(1), lost: 1, emptied: true },
  set: { act: (value) => (list) => list.set(1, value(9) as never), emptied: true },
  truncate: { act: () => (list) => list.truncate(1), emptied: true },
  clear: { act: () => (list) => list.clear(), emptied: true },
  reserve: { act: () => (list) => list.reserve(40) },
  shrink: { act: () => (list) => list.shrink() },
  'sort descending': {
    act: () => (list) => list.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? 1 : -1)),
    lost: 0,
  },
  destroy: { act: () => (list) => list.destroy() },
};

const plain = (list: AnyVec): unknown[] => JSON.parse(JSON.stringify(list.toArray()));

function killAt(kind: keyof typeof make, deed: Deed, at: number): boolean {
  const { field, value } = make[kind]!;
  const heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 4, lockTimeout: 200 });
  SharedVec.create(heap, field).destroy();
  const known = sharedBlocks(heap);
  const list = SharedVec.create(heap, field, [0, 1, 2, 3, 4].map(value) as never) as AnyVec;
  const { handle, address } = list;
  list.reserve(9);
  const model = SharedVec.create(heap, field, [0, 1, 2, 3, 4].map(value) as never) as AnyVec;
  model.reserve(9);
  const first = plain(model);
  const act = deed.act(value);
  act(model);
  const then = model.address === 0 ? [] : plain(model);
  if (model.address !== 0) model.destroy();
  const victim = new Victim(heap);
  const its = SharedVec.open(victim.heap, handle, field) as AnyVec;
  const died = victim.dieAt(at, () => act(its));
  if (heap.memory.u32[(address >>> 2) + 5] === address) {
    const opened = SharedVec.at(heap, address, field) as AnyVec;
    checkContents(plain(opened), first, then, deed);
    expect(opened.length).toBeLessThanOrEqual(opened.capacity);
    // Others go on.
    opened.push(value(7) as never);
    expect(opened.toArray().at(-1)).toEqual(value(7));
    opened.destroy();
  }
  if (deed.lost === undefined) expect(victim.lost(known)).toEqual([]);
  heap.verify();
  heap.detach();
  return died;
}

function checkContents(now: unknown[], first: unknown[], then: unknown[], { lost, emptied }: Deed): void {
  const text = JSON.stringify(now);
  if (text === JSON.stringify(first) || text === JSON.stringify(then)) return;
  if (lost !== undefined && now.length <= first.length) {
    // What did not move is there.
    expect(now.slice(0, lost)).toEqual(first.slice(0, lost));
    if (now.length <= lost) return;
  }
  expect(emptied, `found ${text}`).toBe(true);
  // All others are as they were, or shall be.
  const foreign = now.filter((value) => {
    const shown = JSON.stringify(value);
    return ![...first, ...then].some((other) => JSON.stringify(other) === shown);
  });
  expect(foreign.length).toBeLessThanOrEqual(1);
}

describe.each(Object.keys(make))('a vec of %s', (kind) => {
  test.each(Object.entries(DEEDS))('%s, at every store', (_name, deed) => {
    let at = 0;
    while (killAt(kind, deed, at)) at++;
    expect(at).toBeGreaterThan(0);
  });
});

test('the vec of a field: at every store of its making, its assignment and its taking', () => {
  const acts: ((holder: ReturnType<typeof open>) => void)[] = [
    (holder) => holder.list.push(1),
    (holder) => {
      holder.list = [1, 2, 3] as never;
    },
    (holder) => {
      holder.words = ['c', 'd'] as never;
    },
    (holder) => {
      holder.words = null as never;
    },
    (holder) => SharedVec.take(holder, 'words'),
    (holder) => holder.words.destroy(),
  ];
  const open = (heap: Heap, address: Address) => heap.at(Holder, address);
  for (const act of acts) {
    for (let at = 0, died = true; died; at++) {
      const heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 4, lockTimeout: 200 });
      heap.delete(heap.new(Holder, { list: [1], words: ['x'] }));
      const known = sharedBlocks(heap);
      const holder = heap.new(Holder, { words: ['a', 'b'] });
      const victim = new Victim(heap);
      died = victim.dieAt(at, () => act(open(victim.heap, holder.address)));
      expect([[], [1], [1, 2, 3]]).toContainEqual(holder.list.toArray());
      expect([[], ['a', 'b'], ['c', 'd'], ['a', ''], ['', 'b'], ['', '']]).toContainEqual(
        holder.words.toArray(),
      );
      holder.list.push(5);
      holder.words.push('e');
      heap.delete(holder);
      expect(victim.lost(known)).toEqual([]);
      heap.detach();
    }
  }
});

test('a text of a field: at every store of its assignment it is the old one or the new one', () => {
  for (let at = 0, died = true; died; at++) {
    const heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 4, lockTimeout: 200 });
    const known = sharedBlocks(heap);
    const named = heap.new(Named, { name: 'old' });
    const victim = new Victim(heap);
    died = victim.dieAt(at, () => {
      victim.heap.at(Named, named.address).name = 'new';
    });
    expect(['old', 'new']).toContain(named.name);
    heap.delete(named);
    expect(victim.lost(known).filter((line) => !line.includes('live'))).toEqual([]);
    heap.detach();
  }
});
