/** Queues of what owns, between threads: each item arrives once, what is left inside is dropped, nothing leaks. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { SpscRing } from '../../src/channels/spsc-ring.ts';
import { Arc } from '../../src/containers/arc.ts';
import { arc } from '../../src/containers/arc-field.ts';
import { Box, box } from '../../src/containers/box.ts';
import { string } from '../../src/containers/string.ts';
import { union } from '../../src/containers/union.ts';
import { SharedVec } from '../../src/containers/vec.ts';
import { vec } from '../../src/containers/vec-field.ts';
import { UseAfterMoveError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import type { QueueOwnerJob } from '../../workers/test-threads/queue-owner.ts';
import { runCrew } from '../stress/crew.ts';

const Parcel = struct('QueueParcel', { id: u32, label: string });
const Stamp = struct('QueueStamp', { id: u32 });
const FIELDS = {
  string,
  box: box(Parcel),
  arc: arc(Parcel),
  vec: vec(u32),
  union: union(Parcel, Stamp),
  struct: Parcel,
};
type What = keyof typeof FIELDS;
const COUNT = 1000;

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 16 * MiB });
});
afterEach(() => heap.detach());

/** One of each, as it is sent. */
function parcelOf(what: What, id: number): unknown {
  const init = { id, label: `the parcel that has the number ${id}` };
  const values: { [K in What]: () => unknown } = {
    string: () => init.label,
    box: () => Box.create(heap, Parcel, init),
    arc: () => Arc.create(heap, Parcel, init),
    vec: () => {
      const list = SharedVec.create(heap, u32);
      list.push(id);
      return list;
    },
    union: () => Box.create(heap, Parcel, init),
    struct: () => init,
  };
  return values[what]();
}

function expectEmpty(): void {
  heap.flush();
  heap.verify();
  expect(heap.stats()).toMatchObject({ liveBlocks: 0, used: 0 });
}

describe.each(Object.keys(FIELDS) as What[])('%s', (what) => {
  test.each([
    ['Channel', Channel, false],
    ['Channel, many', Channel, true],
    ['SpscRing, many', SpscRing, true],
  ])('%s: every item arrives once in another thread', async (_, Kind, many) => {
    const queue = (Kind as typeof Channel).create(heap, FIELDS[what] as unknown as typeof u32, {
      capacity: 50,
    });
    const job = { heap: heap.handle, queue: queue.handle, what, many, first: 0, end: COUNT };
    const crew = (role: QueueOwnerJob['role']) =>
      runCrew<QueueOwnerJob, number[]>('queue-owner', [{ ...job, role }]);
    const receiving = crew('receive');
    await crew('send');
    queue.close();
    const [ids] = await receiving;
    expect(ids).toEqual(Array.from({ length: COUNT }, (_, id) => id));
    queue.destroy();
    expectEmpty();
  });

  test('what is left inside is dropped, what was sent is no longer the sender’s', () => {
    for (const Kind of [Channel, SpscRing] as (typeof Channel)[]) {
      const queue = Kind.create(heap, FIELDS[what] as unknown as typeof u32, { capacity: 8 });
      const values = Array.from({ length: 6 }, (_, id) => parcelOf(what, id) as number);
      queue.send(values[0]!);
      queue.sendAll(values.slice(1));
      const moved = values[3] as unknown;
      if (moved instanceof Box || moved instanceof Arc) expect(() => moved.value).toThrow(UseAfterMoveError);
      const got = queue.recv() as unknown;
      if (got instanceof Box || got instanceof Arc) got.drop();
      if (got instanceof SharedVec) got.destroy();
      expect(() => queue.send(null as never)).toThrow(TypeError);
      queue.destroy();
    }
    expectEmpty();
  });
});
