/** Every allocation of a call fails once: the call throws, leaves nothing behind, and what it was about is as before. */

import { expect, test } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { SpscRing } from '../../src/channels/spsc-ring.ts';
import { Arc } from '../../src/containers/arc.ts';
import { arc } from '../../src/containers/arc-field.ts';
import { Barrier } from '../../src/containers/barrier.ts';
import { Box, box } from '../../src/containers/box.ts';
import { Condition } from '../../src/containers/condition.ts';
import { SharedMap } from '../../src/containers/map.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { Once } from '../../src/containers/once.ts';
import { Rc } from '../../src/containers/rc.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { Semaphore } from '../../src/containers/semaphore.ts';
import { SharedSet } from '../../src/containers/set.ts';
import { SharedString, string } from '../../src/containers/string.ts';
import { union } from '../../src/containers/union.ts';
import { SharedVec } from '../../src/containers/vec.ts';
import { vec } from '../../src/containers/vec-field.ts';
import { OutOfMemoryError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB, NULL } from '../../src/memory/address.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('Point', { x: f64, y: f64 });
const Whole = struct('Whole', {
  name: string,
  place: box(Point),
  shared: arc(Point),
  list: vec(f64),
  names: vec(string),
  either: union(Point),
  get parts() {
    return vec(Whole);
  },
});
const part = { name: 'part', place: {}, shared: {}, list: [1], names: ['a'], either: { type: Point } };
const init = { ...part, parts: [part, part] };

interface End {
  drop?(): void;
  destroy?(): unknown;
}

/** What is there before the call, and the call: it gives what has to be ended after it. */
type Scene = (heap: Heap) => { readonly there: readonly End[]; readonly call: () => unknown };

function made(create: (heap: Heap) => End): Scene {
  return (heap) => ({ there: [], call: () => create(heap) });
}

function used<T extends End>(create: (heap: Heap) => T, use: (it: T, heap: Heap) => unknown): Scene {
  return (heap) => {
    const it = create(heap);
    return { there: [it], call: () => use(it, heap) };
  };
}

const full = (heap: Heap) => SharedVec.create(heap, Whole, [init, part]);
const map = (heap: Heap) => SharedMap.create(heap, string, Whole, { shards: 1 }).set('old', init);

const SCENES: Record<string, Scene> = {
  'Box.create': made((heap) => Box.create(heap, Whole, init)),
  'Arc.create': made((heap) => Arc.create(heap, Whole, init)),
  'Rc.create': made((heap) => Rc.create(heap, Whole, init)),
  'SharedString.create': made((heap) => SharedString.create(heap, 'text')),
  'SharedVec.create': made(full),
  'SharedMap.create': made((heap) => SharedMap.create(heap, string, Whole)),
  'SharedSet.create': made((heap) => SharedSet.create(heap, string)),
  'Channel.create': made((heap) => Channel.create(heap, box(Whole), { capacity: 4 })),
  'SpscRing.create': made((heap) => SpscRing.create(heap, string, { capacity: 4 })),
  'Mutex.create': made((heap) => Mutex.create(heap, Whole, init)),
  'RwLock.create': made((heap) => RwLock.create(heap, Whole, init)),
  'Semaphore.create': made((heap) => Semaphore.create(heap, 1)),
  'Barrier.create': made((heap) => Barrier.create(heap, 1)),
  'Once.create': made((heap) => Once.create(heap)),
  'Condition.create': made((heap) => Condition.create(heap)),
  'Arc.of': used(full, (list, heap) => {
    const arc = Arc.of(heap, list);
    // Else it would be destroyed twice.
    Object.assign(list, { destroy: () => arc.drop() });
  }),
  'arc.clone': used(
    (heap) => Arc.create(heap, Whole, init),
    (arc) => arc.clone(),
  ),
  'arc.downgrade': used(
    (heap) => Arc.create(heap, Whole, init),
    (arc) => arc.downgrade(),
  ),
  'vec.push': used(full, (list) => list.push(init)),
  'vec.push several': used(full, (list) => list.push(init, part, init)),
  'vec.insert': used(full, (list) => list.insert(0, init)),
  'vec.set': used(full, (list) => list.set(0, part)),
  'vec.extend': used(full, (list) => list.extend([init, init, init, init, init])),
  'vec.push of an element of its own': used(full, (list) => list.push(list.at(0))),
  'vec.reserve': used(full, (list) => list.reserve(1000)),
  'map.set of a new key': used(map, (it) => it.set('new', init)),
  'map.set of an old key': used(map, (it) => it.set('old', part)),
  'map.getOrInsert': used(map, (it) => it.getOrInsert('new', init) && undefined),
  'map.update': used(
    map,
    (it) => it.update('old', (value) => ({ ...value, list: [1, 2, 3] }) as never) && undefined,
  ),
  'map.set of many': used(
    (heap) => SharedMap.create(heap, u32, string, { shards: 1 }),
    (it) => {
      for (let key = 0; key < 40; key++) it.set(key, `value ${key}`);
    },
  ),
  'set.add': used(
    (heap) => SharedSet.create(heap, string, { shards: 1 }),
    (it) => void it.add('a long key'.repeat(9)),
  ),
  'channel.send': used(
    (heap) => Channel.create(heap, box(Whole), { capacity: 4 }),
    (channel) => void channel.send(init),
  ),
  'channel.sendAll': used(
    (heap) => Channel.create(heap, string, { capacity: 4 }),
    (channel) => void channel.send('text'),
  ),
  'ring.send': used(
    (heap) => SpscRing.create(heap, Whole, { capacity: 4 }),
    (ring) => void ring.send(init),
  ),
  'a field string': used(
    (heap) => Box.create(heap, Whole, init),
    ({ value }) => void Object.assign(value, { name: 'new name' }),
  ),
  'a field vec': used(
    (heap) => Box.create(heap, Whole, init),
    ({ value }) => void Object.assign(value, { parts: [part] }),
  ),
  'a field vec, copied': used(
    (heap) => Box.create(heap, Whole, init),
    ({ value }) => void Object.assign(value.parts.at(0), { parts: value.parts }),
  ),
  'a field box': used(
    (heap) => Box.create(heap, Whole, init),
    ({ value }) => void Object.assign(value, { place: { x: 2 } }),
  ),
  'a field arc': used(
    (heap) => Box.create(heap, Whole, init),
    ({ value }) => void Object.assign(value, { shared: { x: 2 } }),
  ),
  'a field union': used(
    (heap) => Box.create(heap, Whole, init),
    ({ value }) => void Object.assign(value, { either: { type: Point, init: { x: 1 } } }),
  ),
  'a push to a field that is empty': used(
    (heap) => Box.create(heap, Whole),
    ({ value }) => void value.names.push('a'),
  ),
  'a value under a mutex': used(
    (heap) => Mutex.create(heap, vec(string), ['a']),
    (mutex) => mutex.with((cell) => void Object.assign(cell, { value: ['b', 'c'] })),
  ),
};

function end(it: unknown): void {
  const { destroy, drop } = (it ?? {}) as End;
  (destroy ?? drop)?.call(it);
}

const shown = (it: unknown) => JSON.stringify(it, (key, value) => (key === 'address' ? 0 : value));

/** Calls that keep the room that they got, or do their work in several steps. */
const KEEPS_ROOM = /several|extend|empty|many/;

test.each(Object.entries(SCENES))('%s', (name, scene) => {
  const heap = Heap.create({ byteLength: 2 * MiB });
  const alloc = heap.alloc.bind(heap);
  const resize = heap.resize.bind(heap);
  const state = () => {
    heap.flush();
    heap.verify();
    const { liveBlocks, used: bytes } = heap.stats();
    return { liveBlocks, bytes };
  };
  const play = ({ there, call }: ReturnType<Scene>): void => {
    const result = call();
    if (!there.includes(result as End) && typeof result !== 'number') end(result);
    there.forEach(end);
  };
  // Once through: what is registered once stays.
  play(scene(heap));
  const empty = state();
  let failures = 0;
  for (let failing = 0; ; failing++) {
    const { there, call } = scene(heap);
    const before = { state: state(), shown: there.map(shown) };
    let left = failing;
    let failed = false;
    heap.alloc = (size, align) => {
      if (left-- > 0) return alloc(size, align);
      failed = true;
      return NULL;
    };
    heap.resize = (address, size) => (left > 0 ? resize(address, size) : false);
    let error: unknown;
    let result: unknown;
    try {
      result = call();
    } catch (thrown) {
      error = thrown;
    }
    Object.assign(heap, { alloc, resize });
    if (error === undefined) {
      // A call may do without some of the room that it would like to have.
      if (!there.includes(result as End) && typeof result !== 'number') end(result);
      there.forEach(end);
      expect(state()).toEqual(empty);
      if (!failed) break;
      continue;
    }
    failures++;
    expect(error).toBeInstanceOf(OutOfMemoryError);
    if (!/many/.test(name)) expect(there.map(shown)).toEqual(before.shown);
    if (!KEEPS_ROOM.test(name)) expect(state()).toEqual(before.state);
    // And it is as good as new.
    play({ there, call });
    expect(state()).toEqual(empty);
  }
  expect(failures).toBeGreaterThan(0);
  heap.detach();
});
