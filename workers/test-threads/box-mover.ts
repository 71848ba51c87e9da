/**
 * Box mover: receives Boxes of a random struct from one channel, reads them, puts each through a vec and a
 * map of its own, and sends them on by another channel. Answers with what it has read.
 */

import { parentPort } from 'node:worker_threads';
import {
  box,
  Channel,
  type ChannelHandle,
  Heap,
  type HeapHandle,
  SharedMap,
  SharedVec,
  u32,
} from '../../src/index.ts';
import { type StructShape, structOf } from '../../test/containers/shapes.ts';

export interface BoxMoverJob {
  readonly heap: HeapHandle;
  readonly shape: StructShape;
  readonly from: ChannelHandle;
  readonly to: ChannelHandle;
}

parentPort!.on('message', (job: BoxMoverJob | null) => {
  if (job === null) parentPort!.close();
  else parentPort!.postMessage(move(job));
});

function move({ heap: handle, shape, from, to }: BoxMoverJob): string[] {
  const heap = Heap.attach(handle);
  const type = structOf(shape);
  const source = Channel.open(heap, from, box(type));
  const target = Channel.open(heap, to, box(type));
  const list = SharedVec.create(heap, box(type));
  const map = SharedMap.create(heap, u32, box(type));
  const read: string[] = [];
  for (const came of source) {
    read.push(JSON.stringify(came));
    list.push(came as never);
    map.set(0, list.pop() as never);
    map.set(1, map.with(0, (view) => view) as never);
    target.send(map.take(0) as never);
  }
  list.destroy();
  map.destroy();
  target.close();
  heap.detach();
  return read;
}
