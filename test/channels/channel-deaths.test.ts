/** A thread that dies at each single store of sending and receiving: nothing hangs, nothing comes twice. */

import { afterEach, describe, expect, test, vi } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { SpscRing } from '../../src/channels/spsc-ring.ts';
import { Box, box } from '../../src/containers/box.ts';
import { string } from '../../src/containers/string.ts';
import { Heap } from '../../src/heap/heap.ts';
import { KiB } from '../../src/memory/address.ts';
import type { Field } from '../../src/structs/field.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { SLICE_MS } from '../../src/sync/lock.ts';
import { sharedBlocks, Victim } from '../containers/killed-at-a-store.ts';
import { noteSleeps } from '../containers/sleeps.ts';

vi.mock('../../src/memory/atomics.ts', async (original) => {
  const { mortalAtomics } = await import('../containers/mortal-views.ts');
  return mortalAtomics(await original());
});
afterEach(() => {
  vi.restoreAllMocks();
});

const Point = struct('Point', { id: u32, x: u32 });
const Named = struct('Named', { id: u32, name: string });

type Pipe = Channel<unknown, unknown>;

interface Kind {
  readonly field: Field;
  readonly make: (id: number, heap: Heap) => unknown;
  /** Which number an item was made of; 0 for one that is not whole. */
  readonly idOf: (item: never) => number;
  /** Whether an item can be gone with the receiver that took it out. */
  readonly owns: boolean;
}

const KINDS: Record<string, Kind> = {
  numbers: { field: u32, make: (id) => id, idOf: (item: number) => item, owns: false },
  structs: {
    field: Point,
    make: (id) => ({ id, x: id }),
    idOf: (item: { id: number; x: number }) => (item.id === item.x ? item.id : 0),
    owns: false,
  },
  texts: {
    field: string,
    make: (id) => `text ${id}`,
    idOf: (item: string) => Number(item.slice(5)),
    owns: true,
  },
  boxes: {
    field: box(Point),
    make: (id, heap) => Box.create(heap, Point, { id, x: id }),
    idOf: (item: Box<typeof Point>) => {
      const { id } = item.value;
      item.drop();
      return id;
    },
    owns: true,
  },
  'structs that own': {
    field: Named,
    make: (id) => ({ id, name: `text ${id}` }),
    idOf: (item: { id: number; name: string }) => (item.name === `text ${item.id}` ? item.id : 0),
    owns: true,
  },
};

const MAKERS = { Channel, SpscRing } as unknown as Record<
  string,
  {
    create(heap: Heap, field: Field, options: { capacity: number }): Pipe;
    open(heap: Heap, handle: unknown, field: Field): Pipe;
  }
>;

/** What is inside before the victim comes: the ids 1 to `count`. */
interface Scene {
  readonly inside: number;
  readonly act: (pipe: Pipe, kind: Kind, heap: Heap) => void;
  /** Ids that the act sends. */
  readonly sends?: readonly number[];
  /** How many the act receives. */
  readonly receives?: number;
}

const SCENES: Record<string, Scene> = {
  send: { inside: 1, sends: [11], act: (pipe, { make }, heap) => pipe.send(make(11, heap)) },
  'send the last that fits': {
    inside: 3,
    sends: [11],
    act: (pipe, { make }, heap) => pipe.send(make(11, heap)),
  },
  'sendAll of three': {
    inside: 0,
    sends: [11, 12, 13],
    act: (pipe, { make }, heap) => pipe.sendAll([11, 12, 13].map((id) => make(id, heap))),
  },
  recv: { inside: 3, receives: 1, act: (pipe) => pipe.recv() },
  'recv of a full one': { inside: 4, receives: 1, act: (pipe) => pipe.recv() },
  'recvMany of three': { inside: 4, receives: 3, act: (pipe) => pipe.recvMany(3) },
  'recvMany of all': { inside: 4, receives: 4, act: (pipe) => pipe.recvMany(10) },
  close: { inside: 2, act: (pipe) => pipe.close() },
};

function run(name: string, kind: Kind, scene: Scene, at: number, lap: number): boolean {
  const heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 4, lockTimeout: 200 });
  const Maker = MAKERS[name]!;
  Maker.create(heap, kind.field, { capacity: 4 }).destroy();
  const known = sharedBlocks(heap);
  const first = Maker.create(heap, kind.field, { capacity: 4 });
  const { handle } = first;
  // Positions in the middle of a lap.
  for (let id = 0; id < lap; id++) {
    first.send(kind.make(99, heap));
    kind.idOf(first.recv() as never);
  }
  for (let id = 1; id <= scene.inside; id++) first.send(kind.make(id, heap));
  first.release();
  const victim = new Victim(heap);
  const its = Maker.open(victim.heap, handle, kind.field);
  const died = victim.dieAt(at, () => scene.act(its, kind, victim.heap));
  const pipe = Maker.open(heap, handle, kind.field);
  const got: number[] = [];
  const take = (timeout: number): boolean => {
    const item = pipe.recv({ timeout });
    if (item !== undefined) got.push(kind.idOf(item as never));
    return item !== undefined;
  };
  const { closed } = pipe;
  if (!closed) {
    // Others go on at once, whatever the dead one holds.
    take(0);
    let sent = pipe.trySend(kind.make(21, heap));
    // Full of what the dead one was receiving: that comes next.
    for (let left = 5; sent === 'full' && left > 0; left--) {
      take(0);
      sent = pipe.trySend(kind.make(21, heap));
    }
    expect(sent).toBe('sent');
    pipe.send(kind.make(22, heap), { timeout: 0 });
    pipe.close();
  }
  while (take(1000));
  expect(pipe.drained).toBe(true);
  check(got, { ...scene, receives: receivedAtOnce(name, kind, scene, lap) }, kind, died, closed);
  pipe.destroy();
  expect(victim.lost(known)).toEqual([]);
  heap.verify();
  heap.detach();
  return died;
}

/** A channel's runs end with its lap, and structs that own come one by one. */
function receivedAtOnce(name: string, kind: Kind, { receives = 0 }: Scene, lap: number): number {
  if (name === 'SpscRing') return receives;
  return Math.min(receives, kind.field === (Named as unknown) ? 1 : 4 - lap);
}

function check(got: readonly number[], scene: Scene, kind: Kind, died: boolean, closed: boolean): void {
  const { inside, sends = [], receives = 0 } = scene;
  expect(got).not.toContain(0);
  expect(new Set(got).size, `twice: ${got}`).toBe(got.length);
  if (!closed) expect(got).toContain(21);
  const ids = Array.from({ length: inside }, (_, index) => index + 1);
  const sent = got.filter((id) => sends.includes(id));
  // All that an attempt sends at once, or nothing: one goes to the end of a lap at most.
  expect([0, 2, sends.length]).toContain(sent.length);
  expect(sent).toEqual(sends.slice(0, sent.length));
  const missing = ids.filter((id) => !got.includes(id));
  if (!died) expect(missing).toEqual(ids.slice(0, receives));
  else if (kind.owns) expect(missing.length).toBeLessThanOrEqual(receives);
  else expect([[], ids.slice(0, receives)]).toContainEqual(missing);
}

describe.each(Object.keys(MAKERS))('%s', (name) => {
  describe.each(Object.entries(KINDS))('of %s', (_kind, kind) => {
    test.each(Object.entries(SCENES))('%s, at every store', (_name, scene) => {
      for (const lap of [0, 2]) {
        let at = 0;
        while (run(name, kind, scene, at, lap)) at++;
        expect(at).toBeGreaterThan(0);
      }
    });
  });
});

test('who waits in a channel for a dead sender or receiver gets on within some slices', async () => {
  const heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 4 });
  for (const act of [(pipe: Pipe) => pipe.send(5), (pipe: Pipe) => pipe.recv()]) {
    const pipe = Channel.create(heap, u32, { capacity: 1 }) as Pipe;
    if (act.toString().includes('recv')) pipe.send(4);
    const victim = new Victim(heap);
    const its = Channel.open(victim.heap, pipe.handle, u32) as Pipe;
    // The claim is made, nothing else.
    victim.dieAt(1, () => act(its));
    const sleeps = noteSleeps();
    const waits = pipe.recvAsync({ timeout: 60_000 });
    if (!act.toString().includes('recv')) expect(pipe.send(6, { timeout: 60_000 }), 'room').toBe(true);
    expect(await waits).toBe(act.toString().includes('recv') ? 4 : 6);
    expect(sleeps.length).toBeLessThan(6);
    for (const ms of sleeps) expect(ms).toBeLessThanOrEqual(SLICE_MS);
    heap.reap({ slot: victim.heap.threadSlot, generation: victim.heap.thread.generation });
  }
  heap.detach();
});
