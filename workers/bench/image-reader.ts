/** Image reader: looks the first word up in the heap or the JSON file that it is told of. */

import { parentPort } from 'node:worker_threads';
import { firstOf, firstOfJson } from '../../bench/workloads/image.ts';
import { Heap, type HeapHandle } from '../../src/index.ts';

parentPort!.on('message', ({ path, heap }: { path?: string; heap?: HeapHandle }) => {
  parentPort!.postMessage(path === undefined ? firstOf(Heap.attach(heap!)) : firstOfJson(path));
});
parentPort!.postMessage('ready');
