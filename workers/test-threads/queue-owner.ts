/**
 * Queue owner: sends what owns through a channel, or receives it, until it is closed or so many were had.
 * Reports the numbers that it received, after dropping what carried them.
 */

import { parentPort, workerData } from 'node:worker_threads';
import {
  Arc,
  arc,
  Box,
  box,
  Channel,
  type Handle,
  Heap,
  type HeapHandle,
  SharedVec,
  SpscRing,
  string,
  struct,
  u32,
  union,
  vec,
} from '../../src/index.ts';

export interface QueueOwnerJob {
  readonly heap: HeapHandle;
  readonly queue: Handle;
  readonly what: 'string' | 'box' | 'arc' | 'vec' | 'union' | 'struct';
  /** Sends the numbers from `first` below `end` and closes; else receives. */
  readonly role: 'send' | 'receive';
  readonly first: number;
  readonly end: number;
  /** Many at a time. */
  readonly many: boolean;
}

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

/** The value that carries a number. */
function wrap(heap: Heap, what: QueueOwnerJob['what'], id: number): unknown {
  const init = { id, label: `the parcel that has the number ${id}` };
  if (what === 'string') return String(id);
  if (what === 'box') return Box.create(heap, Parcel, init);
  if (what === 'arc') return Arc.create(heap, Parcel, init);
  if (what === 'vec') {
    const list = SharedVec.create(heap, u32);
    list.push(id, id, id);
    return list;
  }
  if (what === 'struct') return init;
  return id % 2 === 0 ? Box.create(heap, Parcel, init) : { type: Stamp, init: { id } };
}

/** The number of a received value, which is dropped. */
function unwrap(item: unknown): number {
  if (typeof item === 'string') return Number(item);
  if (item instanceof SharedVec) {
    const id = item.at(2) as number;
    item.destroy();
    return id;
  }
  if (item instanceof Box || item instanceof Arc) {
    const { id } = item.value as { id: number };
    item.drop();
    return id;
  }
  return (item as { id: number }).id;
}

function run(job: QueueOwnerJob): number[] {
  const heap = Heap.attach(job.heap);
  const field = FIELDS[job.what] as unknown as typeof u32;
  const queue =
    job.queue.kind === 'SpscRing'
      ? SpscRing.open(heap, job.queue, field)
      : Channel.open(heap, job.queue, field);
  const ids: number[] = [];
  if (job.role === 'receive') {
    while (job.many) {
      const some = queue.recvMany(20);
      if (some.length === 0) break;
      ids.push(...some.map(unwrap));
    }
    if (!job.many) for (const item of queue) ids.push(unwrap(item));
  } else {
    for (let id = job.first; id < job.end; ) {
      const count = job.many ? Math.min(30, job.end - id) : 1;
      const values = Array.from({ length: count }, () => wrap(heap, job.what, id++) as number);
      if (job.many) queue.sendAll(values);
      else queue.send(values[0]!);
    }
  }
  queue.release();
  heap.flush();
  return ids;
}

parentPort!.postMessage(run(workerData as QueueOwnerJob));
