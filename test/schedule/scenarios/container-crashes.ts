/** Containers that a thread dies in: the others find them as before its operation, or as after it. */

import { Channel } from '../../../src/channels/channel.ts';
import { SpscRing } from '../../../src/channels/spsc-ring.ts';
import { Arc } from '../../../src/containers/arc.ts';
import { Box } from '../../../src/containers/box.ts';
import { SharedMap } from '../../../src/containers/map.ts';
import type { MapOptions } from '../../../src/containers/map-create.ts';
import { Mutex } from '../../../src/containers/mutex.ts';
import { RwLock } from '../../../src/containers/rw-lock.ts';
import { Semaphore } from '../../../src/containers/semaphore.ts';
import { SharedSet } from '../../../src/containers/set.ts';
import { string } from '../../../src/containers/string.ts';
import { SharedVec } from '../../../src/containers/vec.ts';
import type { Heap } from '../../../src/heap/heap.ts';
import { dropOrFree } from '../../../src/structs/drop.ts';
import type { Field } from '../../../src/structs/field.ts';
import { f64, i32, u32 } from '../../../src/structs/scalars.ts';
import { struct } from '../../../src/structs/struct.ts';
import type { Scenario } from '../engine/scenario.ts';
import { crashing } from './crash-scene.ts';

const options = { cache: false };
const bytes = 20 * 1024;

/** What was on its way when its sender died arrives nowhere: somebody has to give it up. */
function dropStrays(heap: Heap): void {
  for (const { address, state } of heap.blocks()) if (state === 'flight') dropOrFree(heap, address);
}

// ── Maps ────────────────────────────────────────────────────────────────────────────────────────

// biome-ignore lint/suspicious/noExplicitAny: maps of any key and value
type AnyMap = any;
type Change = (map: AnyMap) => void;
type Entries = readonly (readonly [unknown, unknown])[];

interface MapKind {
  readonly options?: MapOptions;
  readonly key?: Field;
  readonly value?: Field;
  readonly entries?: Entries;
  /** What a key may hold afterwards, besides what it held before. */
  readonly may?: Entries;
  /** Whether nobody may use it meanwhile: what they put in would be gone. */
  readonly alone?: boolean;
}

/** A thread dies while it changes a map: each key holds what it held, or what it was to hold. */
function changing(kind: MapKind, change: Change): Scenario {
  const { key = u32, value = u32, entries = [], may = [], alone = false } = kind;
  const shape = { shards: 1, ...kind.options };
  const check = (map: AnyMap): void => {
    map.verify();
    for (const [k, v] of entries) {
      const found = map.get(k);
      const allowed = [v, ...may.filter(([one]) => one === k).map(([, to]) => to)];
      if (!allowed.includes(found)) throw new Error(`the key ${String(k)} holds ${String(found)}`);
    }
  };
  return crashing({
    alone,
    options,
    bytes,
    prepare(heap) {
      const map = SharedMap.create(heap, key, value, shape) as AnyMap;
      for (const [k, v] of entries) map.set(k, v);
      return map.handle;
    },
    victim(heap, handle) {
      const map = SharedMap.open(heap, handle, key, value);
      return () => change(map);
    },
    use(heap, handle) {
      const map = SharedMap.open(heap, handle, key, value) as AnyMap;
      check(map);
      const [k, v] = entries[0]!;
      const another = typeof k === 'number' ? 99 : 'another key';
      map.set(another, v);
      // With a limit the other one may have had it evicted.
      if (kind.options === undefined && map.get(another) !== v)
        throw new Error('the map does not hold what it was given');
      map.release();
    },
    finish(heap, handle) {
      const map = SharedMap.open(heap, handle, key, value) as AnyMap;
      map.verify();
      map.destroy();
    },
  });
}

const FIVE = [1, 2, 3, 4, 5].map((key) => [key, key * 10] as const);
const TEXT = 'a text that is too long for its slot';

export const mapSet = changing({ entries: [[1, 10]], may: [[1, 20]] }, (map) => map.set(1, 20));
export const mapAddKey = changing({ entries: [[1, 10]] }, (map) => map.set(2, 20));
export const mapDelete = changing(
  {
    entries: [
      [1, 10],
      [2, 20],
    ],
    may: [[2, undefined]],
  },
  (map) => map.delete(2),
);
export const mapGrow = changing({ entries: FIVE }, (map) => map.set(6, 60));
export const mapClear = changing(
  {
    alone: true,
    entries: [
      [1, 10],
      [2, 20],
    ],
    may: [
      [1, undefined],
      [2, undefined],
    ],
  },
  (map) => map.clear(),
);
export const mapAdd = changing({ value: i32, entries: FIVE, may: [[1, 11]] }, (map) => {
  map.add(1, 1);
  map.add(6, 1);
});
export const mapStrings = changing(
  {
    key: string,
    value: f64,
    entries: [[TEXT, 1]],
    may: [
      [TEXT, 2],
      [TEXT, undefined],
    ],
  },
  (map) => {
    map.set(TEXT, 2);
    map.set(`${TEXT}, too`, 3);
    map.delete(TEXT);
  },
);
export const mapOfStrings = changing(
  { value: string, entries: [[1, TEXT]], may: [[1, `${TEXT}, too`]] },
  (map) => map.set(1, `${TEXT}, too`),
);

export const mapUpdate = changing({ entries: FIVE, may: [[1, 11]] }, (map) => {
  map.update(1, (held: number) => held + 1);
  map.update(6, (held: number) => held + 1, 0);
});
export const mapUpdateStrings = changing(
  { value: string, entries: [[1, TEXT]], may: [[1, `${TEXT}!`]] },
  (map) => {
    map.update(1, (held: string) => `${held}!`);
    map.update(2, (held: string) => `${held}!`, TEXT);
  },
);

/** What may go is known to nobody but the map: each key holds what it held, or nothing. */
const mayGo: Entries = FIVE.map(([key]) => [key, undefined]);
export const mapEvict = changing({ options: { maxEntries: 5 }, entries: FIVE, may: mayGo }, (map) => {
  map.get(2);
  map.set(6, 60).set(7, 70);
});
const TEXTS = [1, 2, 3].map((key) => [key, `${TEXT}, the ${key}.`] as const);
export const mapEvictStrings = changing(
  {
    options: { maxEntries: 3 },
    value: string,
    entries: TEXTS,
    may: TEXTS.map(([key]) => [key, undefined]),
  },
  (map) => {
    map.set(4, TEXT);
    map.update(5, () => TEXT, TEXT);
  },
);

/** A thread dies while it changes a set of texts: each is in it or not, as before or as after. */
function changingSet(change: (set: SharedSet<typeof string>) => void, maxEntries = 0): Scenario {
  const limit = maxEntries === 0 ? {} : { maxEntries };
  return crashing({
    options,
    bytes,
    prepare(heap) {
      const set = SharedSet.create(heap, string, { shards: 1, ...limit });
      set.add(TEXT);
      return set.handle;
    },
    victim(heap, handle) {
      const set = SharedSet.open(heap, handle, string);
      return () => change(set);
    },
    use(heap, handle) {
      const set = SharedSet.open(heap, handle, string);
      set.verify();
      if (maxEntries === 0 && !set.has(TEXT)) throw new Error('the set lost what nobody took out');
      const mine = `${TEXT}, mine`;
      set.add(mine);
      if (maxEntries === 0 && !set.has(mine)) throw new Error('the set does not hold what it was given');
      set.release();
    },
    finish(heap, handle) {
      const set = SharedSet.open(heap, handle, string);
      set.verify();
      set.destroy();
    },
  });
}

export const setAdd = changingSet((set) => set.add(`${TEXT}, too`));
export const setDelete = changingSet((set) => {
  set.add(`${TEXT}, too`);
  set.delete(`${TEXT}, too`);
});
export const setEvict = changingSet((set) => {
  for (let i = 0; i < 3; i++) set.add(`${TEXT}, the ${i}.`);
}, 2);

// ── Vecs and boxes ──────────────────────────────────────────────────────────────────────────────

function editing(
  change: (vec: SharedVec<typeof u32>) => void,
  mayBe: readonly (readonly number[])[],
): Scenario {
  return crashing({
    alone: true,
    options,
    bytes,
    prepare(heap) {
      const vec = SharedVec.create(heap, u32);
      vec.push(1, 2, 3, 4);
      return vec.handle;
    },
    victim(heap, handle) {
      const vec = SharedVec.open(heap, handle, u32);
      return () => change(vec);
    },
    use(heap, handle) {
      const vec = SharedVec.open(heap, handle, u32);
      const found = vec.toArray();
      // Who died here had put it in.
      if (found.at(-1) === 9) found.pop();
      const isKnown = mayBe.some((list) => list.join() === found.join());
      if (!isKnown && found.join() !== '1,2,3,4') throw new Error(`the vec holds ${found.join()}`);
      vec.push(9);
      if (vec.pop() !== 9) throw new Error('the vec does not hold what it was given');
      vec.release();
    },
    finish: (heap, handle) => SharedVec.open(heap, handle, u32).destroy(),
  });
}

export const vecPush = editing((vec) => vec.push(5), [[1, 2, 3, 4, 5]]);
export const vecPop = editing((vec) => vec.pop(), [[1, 2, 3]]);
export const vecReserve = editing((vec) => vec.reserve(100), []);
export const vecShrink = editing((vec) => vec.shrink(), []);

const Job = struct('Job', { id: u32, name: string });
const NAME = 'a name that lies in a block of its own';

/** What a thread makes for itself and gives up again; others go on with Boxes. */
function making(make: (heap: Heap) => void, room = bytes, alone = false): Scenario {
  return crashing({
    alone,
    options,
    bytes: room,
    prepare: (heap) => {
      Box.create(heap, Job, { id: 1, name: NAME }).drop();
      make(heap);
      dropStrays(heap);
    },
    victim: (heap) => () => make(heap),
    use(heap) {
      const box = Box.create(heap, Job, { id: 3, name: NAME });
      if (box.value.name !== NAME) throw new Error(`the box holds ${box.value.name}`);
      box.drop();
    },
    finish: dropStrays,
  });
}

export const boxMove = making((heap) => {
  Box.create(heap, Job, { id: 2, name: NAME }).move();
});
export const structDelete = making((heap) => {
  const job = heap.new(Job, { id: 2, name: NAME });
  heap.delete(job);
});
/** What the elements of an array own is dropped with it, whoever drops it. */
function makingArray(layout: 'rows' | 'columns'): Scenario {
  return making(
    (heap) => {
      const jobs = Job.array(heap, 2, { layout });
      jobs.at(0).name = NAME;
      jobs.at(1).name = NAME;
      jobs.free();
      // Alone: a setter runs in one step, and cannot wait for others.
    },
    bytes,
    true,
  );
}
export const arrayOfRows = makingArray('rows');
export const arrayOfColumns = makingArray('columns');
export const mapDestroy = making((heap) => {
  const map = SharedMap.create(heap, u32, string, { shards: 1 });
  map.set(1, NAME).set(2, NAME);
  map.destroy();
});
export const vecDestroy = making((heap) => {
  const vec = SharedVec.create(heap, string);
  vec.push(NAME, NAME);
  vec.destroy();
});
export const arcLast = making((heap) => {
  const arc = Arc.create(heap, Job, { id: 2, name: NAME });
  const weak = arc.downgrade();
  arc.drop();
  weak.drop();
});
export const mutexDestroy = making((heap) => Mutex.create(heap, string, NAME).destroy());
export const channelDestroy = making((heap) => {
  const channel = Channel.create(heap, string, { capacity: 2 });
  channel.send(NAME);
  channel.destroy();
});

// ── Channels ────────────────────────────────────────────────────────────────────────────────────

const SHORTLY = { timeout: 120 } as const;

function through(victim: (channel: Channel<number>) => void, inside: number): Scenario {
  return crashing({
    alone: true,
    options,
    bytes,
    prepare(heap) {
      const channel = Channel.create(heap, f64, { capacity: 3 });
      for (let value = 1; value <= inside; value++) channel.send(value);
      return channel.handle;
    },
    victim(heap, handle) {
      const channel = Channel.open(heap, handle);
      return () => victim(channel);
    },
    use(heap, handle) {
      const channel = Channel.open(heap, handle);
      // What a dead receiver held comes when nothing else has for a slice: once, and out of order.
      const found = new Set<number>();
      for (let value = channel.recv(SHORTLY); value !== undefined; value = channel.recv(SHORTLY)) {
        if (found.has(value) || !(value >= 1 && value <= 4)) throw new Error(`received ${value}`);
        found.add(value);
      }
      for (let round = 0; round < 2; round++) {
        for (let value = 1; value <= 3; value++) {
          if (!channel.send(value, { timeout: 5000 })) throw new Error('no room in a channel that is empty');
        }
        for (let value = 1; value <= 3; value++) {
          const got = channel.recv({ timeout: 5000 });
          if (got !== value) throw new Error(`received ${got}, not ${value}`);
        }
      }
      channel.release();
    },
    finish(heap, handle) {
      Channel.open(heap, handle).destroy();
    },
  });
}

export const channelSend = through((channel) => channel.send(2), 1);
export const channelReceive = through((channel) => channel.recv(), 2);
export const channelSendAll = through((channel) => channel.sendAll([2, 3]), 1);
export const channelReceiveMany = through((channel) => channel.recvMany(2), 3);

export const ringSend: Scenario = crashing({
  alone: true,
  options,
  bytes,
  prepare: (heap) => SpscRing.create(heap, f64, { capacity: 2 }).handle,
  victim(heap, handle) {
    const ring = SpscRing.open(heap, handle);
    return () => {
      ring.send(1);
      ring.send(2);
    };
  },
  use(heap, handle) {
    const ring = SpscRing.open(heap, handle);
    let last = 0;
    for (let got = ring.tryRecv(); got.status === 'received'; got = ring.tryRecv()) {
      // What is missing was in the hands of who died. The 9 is of one who died here.
      if (got.value <= last || ![1, 2, 9].includes(got.value)) {
        throw new Error(`received ${got.value} after ${last}`);
      }
      last = got.value;
    }
    ring.send(9);
    if (ring.recv() !== 9) throw new Error('the ring does not give what it was given');
    ring.release();
  },
  finish(heap, handle) {
    SpscRing.open(heap, handle).destroy();
  },
});

// ── Arcs ────────────────────────────────────────────────────────────────────────────────────────

/** Each thread has an Arc of one target; the last one is there at the end. */
function counting(victim: (arc: Arc<typeof Job>) => void): Scenario {
  return crashing({
    options,
    bytes,
    prepare(heap) {
      const arc = Arc.create(heap, Job, { id: 7, name: NAME });
      return { first: arc.clone().move(), last: arc.move() };
    },
    victim(heap, { first }) {
      const arc = Arc.open(heap, first, Job);
      return () => victim(arc);
    },
    use() {},
    finish(heap, { last }) {
      const arc = Arc.open(heap, last, Job);
      if (arc.value.name !== NAME) throw new Error(`the Arc holds ${arc.value.name}`);
      arc.drop();
      dropStrays(heap);
    },
  });
}

export const arcClone = counting((arc) => arc.clone());
export const arcDrop = counting((arc) => arc.drop());
export const arcDowngrade = counting((arc) => {
  const weak = arc.downgrade();
  weak.upgrade()?.drop();
  weak.drop();
});

// ── Locks of users ──────────────────────────────────────────────────────────────────────────────

const Account = struct('Account', { balance: f64, changes: u32 });

/** What the dead thread was about is told to the next one who locks, once. */
export const mutex: Scenario = crashing({
  options,
  bytes,
  prepare: (heap) => Mutex.create(heap, Account, { balance: 5 }).handle,
  victim(heap, handle) {
    const lock = Mutex.open(heap, handle, Account);
    return () =>
      lock.with((account) => {
        account.balance += 1;
        account.changes += 1;
      });
  },
  use(heap, handle) {
    const lock = Mutex.open(heap, handle, Account);
    lock.with((account, { recovered }) => {
      const isWhole = account.balance === 5 + account.changes;
      if (!isWhole && !recovered) throw new Error('half a change, and nobody was told');
      account.balance = 5 + account.changes;
    });
    lock.with((_account, { recovered }) => {
      if (recovered) throw new Error('told twice');
    });
    lock.release();
  },
  finish: (heap, handle) => Mutex.open(heap, handle, Account).destroy(),
});

export const rwLock: Scenario = crashing({
  options,
  bytes,
  prepare: (heap) => RwLock.create(heap, u32, 5).handle,
  victim(heap, handle) {
    const lock = RwLock.open(heap, handle, u32);
    return () => {
      lock.read((value) => value);
      lock.write((value) => value);
    };
  },
  use(heap, handle) {
    const lock = RwLock.open(heap, handle, u32);
    lock.write((value) => value);
    lock.read((value) => value);
    lock.release();
  },
  finish: (heap, handle) => RwLock.open(heap, handle, u32).destroy(),
});

export const semaphore: Scenario = crashing({
  options,
  bytes,
  prepare: (heap) => Semaphore.create(heap, 3).handle,
  victim(heap, handle) {
    const permits = Semaphore.open(heap, handle);
    return () => {
      permits.acquire(2);
      permits.acquire(1);
      permits.release(3);
    };
  },
  use(heap, handle) {
    const permits = Semaphore.open(heap, handle);
    permits.acquire(3, { timeout: 5000 });
    permits.release(3);
  },
  finish: (heap, handle) => Semaphore.open(heap, handle).destroy(),
});
