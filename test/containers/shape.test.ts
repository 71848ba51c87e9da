/**
 * One shape for all: whatever lies in a heap has a small handle, opens only as what it is, refuses to be
 * posted, ends clearly, and meets garbage with an error.
 */

import { inspect } from 'node:util';
import { serialize } from 'node:v8';
import { MessageChannel } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { SpscRing } from '../../src/channels/spsc-ring.ts';
import { Arc, Weak } from '../../src/containers/arc.ts';
import { Barrier } from '../../src/containers/barrier.ts';
import { Box } from '../../src/containers/box.ts';
import { Condition } from '../../src/containers/condition.ts';
import type { Container, Handle } from '../../src/containers/container.ts';
import { SharedMap } from '../../src/containers/map.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { Once } from '../../src/containers/once.ts';
import { Rc } from '../../src/containers/rc.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { Semaphore } from '../../src/containers/semaphore.ts';
import { SharedSet } from '../../src/containers/set.ts';
import { SharedString, string } from '../../src/containers/string.ts';
import { SharedVec } from '../../src/containers/vec.ts';
import { vec } from '../../src/containers/vec-field.ts';
import { AttachError, UseAfterMoveError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, MiB } from '../../src/memory/address.ts';
import type { Field } from '../../src/structs/field.ts';
import { f32, f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('Point', { x: f64, y: f64 });
const Other = struct('Other', { x: f64 });
const Owner = struct('Owner', { name: string, list: vec(f64) });
const LONG = 'long'.repeat(5000);
const MANY = Array.from({ length: 20_000 }, (_, index) => index);

interface Opener {
  at(heap: Heap, address: Address): { readonly address: Address };
}

/** One class: how one is made, opened and used. */
interface Subject {
  readonly make: (heap: Heap) => Container;
  /** One that holds a lot. */
  readonly large?: (heap: Heap) => Container;
  readonly open: (heap: Heap, handle: never, ...fields: Field[]) => Container;
  /** What roots open it by. */
  readonly type: Opener;
  /** At an address, with other fields than it was made for. */
  readonly wrong?: (heap: Heap, handle: never) => unknown;
  /** Uses that must throw once it has ended. */
  readonly uses: readonly ((it: never) => unknown)[];
}

function container<T>(
  subject: { [K in keyof Subject]: unknown } & { uses: readonly ((it: T) => unknown)[] },
): Subject {
  return subject as never;
}

/** What has a handle, `destroy` and `release`. */
const CONTAINERS: Record<string, Subject> = {
  SharedString: container<SharedString>({
    make: (heap: Heap) => SharedString.create(heap, 'text'),
    large: (heap: Heap) => SharedString.create(heap, LONG),
    open: SharedString.open,
    type: SharedString,
    uses: [
      (it) => it.toString(),
      (it) => it.byteLength,
      (it) => it.hash,
      (it) => it.equals('text'),
      (it) => it.bytes(),
    ],
  }),
  SharedVec: container<SharedVec<typeof f64>>({
    make: (heap: Heap) => SharedVec.create(heap, f64, [1, 2]),
    large: (heap: Heap) => SharedVec.create(heap, f64, MANY),
    open: SharedVec.open,
    type: SharedVec.type(f64),
    wrong: (heap: Heap, handle: never) => SharedVec.open(heap, handle, f32),
    uses: [
      (it) => it.push(1),
      (it) => it.at(0),
      (it) => it.set(0, 1),
      (it) => it.length,
      (it) => it.pop(),
      (it) => it.toArray(),
      (it) => it.asTypedArray(),
      (it) => [...it],
      (it) => it.clear(),
      (it) => it.sort(),
      (it) => it.insert(0, 1),
      (it) => it.reserve(10),
      (it) => it.shrink(),
    ],
  }),
  SharedMap: container<SharedMap<typeof string, typeof u32>>({
    make: (heap: Heap) => SharedMap.create(heap, string, u32).set('k', 1),
    large: (heap: Heap) => {
      const map = SharedMap.create(heap, string, u32);
      for (const key of MANY.slice(0, 2000)) map.set(`key ${key}`, key);
      return map;
    },
    open: SharedMap.open,
    type: SharedMap.type(string, u32),
    wrong: (heap: Heap, handle: never) => SharedMap.open(heap, handle, string, f64),
    uses: [
      (it) => it.get('k'),
      (it) => it.set('k', 2),
      (it) => it.has('k'),
      (it) => it.delete('k'),
      (it) => it.add('k', 1),
      (it) => it.size,
      (it) => [...it],
      (it) => it.clear(),
      (it) => it.with('k', () => 1),
      (it) => it.take('k'),
      (it) => it.verify(),
      (it) => it.stats(),
    ],
  }),
  SharedSet: container<SharedSet<typeof string>>({
    make: (heap: Heap) => SharedSet.create(heap, string),
    large: (heap: Heap) => {
      const set = SharedSet.create(heap, string);
      for (const key of MANY.slice(0, 2000)) set.add(`key ${key}`);
      return set;
    },
    open: SharedSet.open,
    type: SharedSet.type(string),
    wrong: (heap: Heap, handle: never) => SharedSet.open(heap, handle, u32),
    uses: [
      (it) => it.add('k'),
      (it) => it.has('k'),
      (it) => it.delete('k'),
      (it) => it.size,
      (it) => [...it],
      (it) => it.clear(),
    ],
  }),
  Channel: container<Channel<number>>({
    make: (heap: Heap) => Channel.create(heap, u32, { capacity: 3 }),
    large: (heap: Heap) => Channel.create(heap, u32, { capacity: 20_000 }),
    open: Channel.open,
    type: Channel.type(u32),
    wrong: (heap: Heap, handle: never) => Channel.open(heap, handle, f32),
    uses: [
      (it) => it.send(1),
      (it) => it.trySend(1),
      (it) => it.recv(),
      (it) => it.tryRecv(),
      (it) => it.sendAll([1]),
      (it) => it.recvMany(1),
      (it) => it.close(),
      (it) => it.length,
      (it) => it.closed,
      (it) => [...it],
    ],
  }),
  SpscRing: container<SpscRing<number>>({
    make: (heap: Heap) => SpscRing.create(heap, u32, { capacity: 4 }),
    large: (heap: Heap) => SpscRing.create(heap, u32, { capacity: 20_000 }),
    open: SpscRing.open,
    type: SpscRing.type(u32),
    wrong: (heap: Heap, handle: never) => SpscRing.open(heap, handle, f32),
    uses: [
      (it) => it.send(1),
      (it) => it.tryRecv(),
      (it) => it.close(),
      (it) => it.length,
      (it) => it.closed,
    ],
  }),
  Mutex: container<Mutex<typeof Owner>>({
    make: (heap: Heap) => Mutex.create(heap, Owner, { name: 'guarded' }),
    large: (heap: Heap) => Mutex.create(heap, Owner, { name: LONG, list: MANY }),
    open: Mutex.open,
    type: Mutex.type(Owner),
    wrong: (heap: Heap, handle: never) => Mutex.open(heap, handle, Point),
    uses: [(it) => it.with(() => 1), (it) => it.lock(), (it) => it.tryLock(), (it) => it.locked],
  }),
  RwLock: container<RwLock<typeof Owner>>({
    make: (heap: Heap) => RwLock.create(heap, Owner, { name: 'guarded' }),
    large: (heap: Heap) => RwLock.create(heap, Owner, { name: LONG, list: MANY }),
    open: RwLock.open,
    type: RwLock.type(Owner),
    wrong: (heap: Heap, handle: never) => RwLock.open(heap, handle, Point),
    uses: [(it) => it.read(() => 1), (it) => it.write(() => 1), (it) => it.tryRead(), (it) => it.tryWrite()],
  }),
  Condition: container<Condition>({
    make: (heap: Heap) => Condition.create(heap),
    open: Condition.open,
    type: Condition,
    uses: [(it) => it.notifyAll(), (it) => it.notifyOne()],
  }),
  Semaphore: container<Semaphore>({
    make: (heap: Heap) => Semaphore.create(heap, 3),
    open: Semaphore.open,
    type: Semaphore,
    uses: [
      (it) => it.acquire(),
      (it) => it.tryAcquire(),
      (it) => it.release(),
      (it) => it.available,
      (it) => it.add(1),
    ],
  }),
  Barrier: container<Barrier>({
    make: (heap: Heap) => Barrier.create(heap, 1),
    open: Barrier.open,
    type: Barrier,
    uses: [(it) => it.wait(), (it) => it.abort(), (it) => it.reset(), (it) => it.parties],
  }),
  Once: container<Once>({
    make: (heap: Heap) => Once.create(heap),
    open: Once.open,
    type: Once,
    uses: [(it) => it.run(() => 1), (it) => it.done],
  }),
};
const MAP_OR_SET = ['SharedMap', 'SharedSet'];
const QUEUES = ['Channel', 'SpscRing'];

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 4 * MiB, lockTimeout: 50 });
});
afterEach(() => heap.detach());

/** Ends an object without touching what it stands for. */
const close = (it: Container) => it.$closeObject();
const destroy = (it: Container) => (it as unknown as { destroy(): void }).destroy();

describe.each(Object.entries(CONTAINERS))('%s', (name, subject) => {
  const { make, large = make, open, type, wrong, uses } = subject;

  test('has a small handle that survives cloning', () => {
    const it = large(heap);
    const { handle } = it;
    expect(handle.kind).toBe(name);
    expect(structuredClone(handle)).toEqual(handle);
    expect(serialize(handle).length).toBeLessThan(100);
    expect(open(heap, structuredClone(handle) as never).address).toBe(it.address);
    destroy(it);
    expect(heap.stats().liveBlocks).toBe(0);
  });

  test('cannot be posted itself', () => {
    const it = make(heap);
    const { port1, port2 } = new MessageChannel();
    for (const post of [
      () => structuredClone(it),
      () => port1.postMessage(it),
      () => port1.postMessage({ deep: [it] }),
    ]) {
      expect(post).toThrow(expect.objectContaining({ name: 'DataCloneError' }));
      expect(post).toThrow('post an address or a handle instead');
    }
    port1.close();
    port2.close();
  });

  test('opens as nothing else, nowhere else, and not once destroyed', () => {
    const it = make(heap);
    const { handle } = it;
    const other = Heap.create({ byteLength: MiB });
    expect(() => open(other, handle as never)).toThrow(/in heap \w+, not in heap/);
    other.detach();
    for (const [otherName, { open: openOther }] of Object.entries(CONTAINERS)) {
      if (otherName === name) continue;
      expect(() => openOther(heap, handle as never)).toThrow(
        new RegExp(`the handle is of an? ${name}, not of an? ${otherName}`),
      );
      expect(() => openOther(heap, { ...handle, kind: otherName } as never)).toThrow(AttachError);
    }
    if (wrong !== undefined) expect(() => wrong(heap, handle as never)).toThrow(/was made for/);
    for (const bad of [undefined, null, 5, 'text', {}, { kind: 5 }, it.address]) {
      expect(() => open(heap, bad as never)).toThrow(new RegExp(`open wants the handle of an? ${name}`));
    }
    for (const address of [0, -8, 3, 1.5, Number.NaN, 2 ** 32, heap.memory.byteLength, '8']) {
      expect(() => open(heap, { ...handle, address } as never)).toThrow(RangeError);
      expect(() => type.at(heap, address as never)).toThrow(RangeError);
    }
    for (let interior = it.address + 8; interior < it.address + heap.sizeOf(it.address); interior += 8) {
      expect(() => type.at(heap, interior as Address)).toThrow(AttachError);
    }
    destroy(it);
    expect(() => open(heap, handle as never)).toThrow(AttachError);
    const again = make(heap);
    expect(() => open(heap, handle as never)).toThrow(AttachError);
    expect(() => open(heap, handle as never)).toThrow(/was destroyed since its handle was made|lies|no live/);
    destroy(again);
  });

  test('throws on each use once it is closed, and once it is destroyed', () => {
    const it = make(heap);
    const closed = open(heap, it.handle as never);
    close(closed);
    close(closed);
    if (name !== 'Semaphore') closed.release();
    const before = heap.memory.u8.slice();
    for (const use of [...uses, destroy, (gone: Container) => gone.handle]) {
      expect(() => use(closed as never), String(use)).toThrow(ReferenceError);
    }
    expect(heap.memory.u8.every((byte, index) => byte === before[index])).toBe(true);
    expect(closed.address).toBe(0);
    destroy(it);
    for (const use of [...uses, destroy, (gone: Container) => gone.handle]) {
      expect(() => use(it as never), String(use)).toThrow(ReferenceError);
    }
    expect(heap.stats().liveBlocks).toBe(0);
  });

  test('shows itself, also when it is gone', () => {
    const it = make(heap);
    const shown = open(heap, it.handle as never);
    expect(inspect(it)).toContain(name);
    expect(JSON.stringify(it)).toBe(JSON.stringify(shown));
    close(shown);
    expect(inspect(shown)).toBe(`${name} (released)`);
    destroy(it);
    expect(inspect(it)).toBe(`${name} (released)`);
  });

  test('is null in JSON when it is gone', () => {
    const it = make(heap);
    destroy(it);
    expect(JSON.stringify({ it })).toBe('{"it":null}');
  });

  test('tells that another object destroyed it', () => {
    const it = make(heap);
    const other = open(heap, it.handle as never);
    destroy(it);
    for (const use of uses) expect(() => use(other as never), String(use)).toThrow(/destroyed/);
    expect(inspect(other)).toBe(`${name} (released)`);
    expect(JSON.stringify({ other })).toBe('{"other":null}');
  });

  test('is disposed of where the runtime can', () => {
    const dispose = (Symbol as { dispose?: symbol }).dispose;
    const it = make(heap) as unknown as Record<symbol, () => void>;
    const names = Object.getOwnPropertySymbols(Object.getPrototypeOf(it));
    expect('undefined' in it).toBe(false);
    if (dispose === undefined) expect(names.map(String)).not.toContain('Symbol(Symbol.dispose)');
    else {
      const { handle } = it as unknown as Container;
      it[dispose]!();
      expect((it as unknown as Container).address).toBe(0);
      for (const use of uses) expect(() => use(it as never), String(use)).toThrow(/released/);
      destroy(open(heap, handle as never));
    }
  });

  test('has a root', () => {
    let calls = 0;
    const first = heap.roots.openOrCreate(name, type as never, () => {
      calls++;
      return make(heap).address;
    }) as unknown as Container;
    const second = heap.roots.openOrCreate(name, type as never, () => {
      throw new Error('it is there');
    }) as unknown as Container;
    expect([first.address, calls]).toEqual([second.address, 1]);
    const third = heap.roots.open(name, type as never) as unknown as Container;
    expect(third.handle).toEqual(first.handle);
    heap.roots.set('object', make(heap));
    destroy(heap.roots.open('object', type as never) as unknown as Container);
    destroy(first);
  });

  test('meets garbage in its words with an error, if with anything', () => {
    fc.assert(
      fc.property(
        fc.uint32Array({ minLength: 8, maxLength: 8 }),
        fc.integer({ min: 0, max: 2 }),
        (garbage, keep) => {
          const it = make(heap);
          const { address, handle } = it;
          const word = address >>> 2;
          const size = Math.min(8, heap.sizeOf(address) >>> 2);
          const saved = heap.memory.u32.slice(word, word + size);
          for (let index = keep; index < size; index++) heap.memory.u32[word + index] = garbage[index]!;
          try {
            const opened = open(heap, handle as never);
            // What maps and queues do with garbage is for those parts to bound: only opening and closing here.
            if (![...MAP_OR_SET, ...QUEUES].includes(name)) {
              inspect(opened);
              JSON.stringify(opened);
            }
            close(opened);
          } catch (error) {
            expect(error).toBeInstanceOf(Error);
          }
          heap.memory.u32.set(saved, word);
          destroy(it);
          heap.verify();
        },
      ),
      { numRuns: 30 },
    );
    expect(heap.stats().liveBlocks).toBe(0);
  });
});

/** What has one owner. */
const OWNERS = {
  Box: {
    make: () => Box.create(heap, Point, { x: 1 }),
    open: Box.open,
    fromAddress: Box.fromAddress,
    uses: [
      (it: Box<typeof Point>) => it.value,
      (it: Box<typeof Point>) => it.move(),
      (it: Box) => it.intoAddress(),
    ],
  },
  Arc: {
    make: () => Arc.create(heap, Point, { x: 1 }),
    open: Arc.open,
    fromAddress: Arc.fromAddress,
    uses: [
      (it: Arc<typeof Point>) => it.value,
      (it: Arc) => it.move(),
      (it: Arc) => it.clone(),
      (it: Arc) => it.downgrade(),
      (it: Arc) => it.strongCount,
      (it: Arc) => it.intoAddress(),
    ],
  },
  Weak: {
    make: () => {
      const arc = Arc.create(heap, Point, { x: 1 });
      const weak = arc.downgrade();
      arc.drop();
      return weak;
    },
    open: Weak.open,
    fromAddress: Weak.fromAddress,
    uses: [(it: Weak) => it.upgrade(), (it: Weak) => it.clone(), (it: Weak) => it.move()],
  },
};

describe.each(Object.entries(OWNERS))('%s', (name, { make, open, fromAddress, uses }) => {
  type Made = Box<typeof Point>;
  const openAny = open as (heap: Heap, handle: Handle, type?: typeof Point | typeof Other) => Made;
  const fromAny = fromAddress as (heap: Heap, address: number, type?: typeof Other) => Made;

  test('moves by a small handle, to one', () => {
    const handle = (make() as Made).move();
    expect(structuredClone(handle)).toEqual(handle);
    expect(serialize(handle).length).toBeLessThan(100);
    const other = Heap.create({ byteLength: MiB });
    expect(() => openAny(other, handle)).toThrow(/in heap \w+, not in heap/);
    other.detach();
    expect(() => openAny(heap, { ...handle, kind: 'SharedVec' } as never)).toThrow(
      'the handle is of a SharedVec',
    );
    for (const bad of [undefined, 5, {}]) expect(() => openAny(heap, bad as never)).toThrow(TypeError);
    for (const address of [0, 3, 2 ** 32, 1.5, heap.memory.byteLength]) {
      expect(() => openAny(heap, { ...handle, address } as never)).toThrow(RangeError);
      expect(() => fromAny(heap, address)).toThrow(RangeError);
    }
    expect(() => openAny(heap, handle, Other)).toThrow('was made for');
    const came = openAny(heap, handle);
    expect(() => openAny(heap, handle)).toThrow('received already');
    came.drop();
    expect(() => openAny(heap, handle)).toThrow(AttachError);
    const again = make();
    expect(() => openAny(heap, handle)).toThrow(AttachError);
    again.drop();
    expect(heap.stats().liveBlocks).toBe(0);
  });

  test('cannot be posted itself', () => {
    const it = make();
    expect(() => structuredClone(it)).toThrow(expect.objectContaining({ name: 'DataCloneError' }));
    it.drop();
  });

  test('throws on each use once it is moved, and once it is dropped', () => {
    const moved = make() as Made;
    const handle = moved.move();
    for (const use of uses) expect(() => use(moved as never)).toThrow(UseAfterMoveError);
    const dropped = openAny(heap, handle);
    dropped.drop();
    for (const use of uses) expect(() => use(dropped as never)).toThrow(ReferenceError);
    for (const end of [moved, dropped]) {
      end.drop();
      end.release();
      expect(inspect(end)).toMatch(/\((moved|dropped)\)/);
      if (name !== 'Weak') expect(JSON.stringify({ end })).toBe('{"end":null}');
      expect(() => end.handle).toThrow('move()');
    }
    expect(heap.stats().liveBlocks).toBe(0);
  });

  test('meets garbage in its words with an error, if with anything', () => {
    fc.assert(
      fc.property(
        fc.uint32Array({ minLength: 4, maxLength: 4 }),
        fc.integer({ min: 0, max: 2 }),
        (garbage, keep) => {
          const it = make() as Made;
          const word = it.address >>> 2;
          const address = it.intoAddress();
          const saved = heap.memory.u32.slice(word, word + 4);
          for (let index = keep; index < 4; index++) heap.memory.u32[word + index] = garbage[index]!;
          try {
            inspect(fromAny(heap, address));
          } catch (error) {
            expect(error).toBeInstanceOf(Error);
          }
          heap.memory.u32.set(saved, word);
          fromAny(heap, address).drop();
          heap.verify();
        },
      ),
      { numRuns: 50 },
    );
    expect(heap.stats().liveBlocks).toBe(0);
  });
});

test('an Rc has the shape of an Arc, but for what leaves its thread', () => {
  const rc = Rc.create(heap, Point, { x: 1 });
  expect(() => structuredClone(rc)).toThrow(expect.objectContaining({ name: 'DataCloneError' }));
  expect(() => rc.handle).toThrow('bound to its thread');
  const weak = rc.downgrade();
  rc.drop();
  rc.drop();
  expect([inspect(rc), JSON.stringify({ rc })]).toEqual(['Rc of Point (dropped)', '{"rc":null}']);
  for (const use of [
    () => rc.value,
    () => rc.clone(),
    () => rc.downgrade(),
    () => rc.strongCount,
    () => rc.intoAddress(),
  ]) {
    expect(use).toThrow(ReferenceError);
  }
  expect(weak.upgrade()).toBeUndefined();
  weak.drop();
  expect(heap.stats().liveBlocks).toBe(0);
});
