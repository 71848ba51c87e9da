/** Heavy user: uses a map, a channel, a ring and a root without end, until it is terminated. */

import { parentPort, workerData } from 'node:worker_threads';
import { Channel, Heap, type HeapHandle, SharedMap, SpscRing, string, u32 } from '../../src/index.ts';

export interface HeavyUserJob {
  readonly heap: HeapHandle;
  readonly use: 'map' | 'channel' | 'ring' | 'root';
  readonly handle: never;
}

const { heap: where, use, handle } = workerData as HeavyUserJob;
const heap = Heap.attach(where);

if (use === 'root') {
  heap.roots.openOrCreate('made', SharedMap.type(u32, u32), () => {
    parentPort!.postMessage('at work');
    for (;;) heap.free(heap.alloc(40));
  });
}
const map = use === 'map' ? SharedMap.open(heap, handle, string, string) : undefined;
const channel = use === 'channel' ? Channel.open(heap, handle, u32) : undefined;
const ring = use === 'ring' ? SpscRing.open(heap, handle, u32) : undefined;

for (let round = 0; ; round++) {
  if (round === 100) parentPort!.postMessage('at work');
  const key = `key ${round % 50}`;
  if (map !== undefined) {
    map.set(key, `${key} = ${round}`);
    if (round % 3 === 0) map.delete(`key ${(round * 7) % 50}`);
    if (round % 1000 === 0) map.clear();
  }
  channel?.sendAll([1, 2, 3, 4, 5]);
  channel?.recvMany(3);
  channel?.recvMany(3);
  if (ring?.trySend(round) === 'full') ring.recvMany(8);
}
