/** The fresh process of examples/image.js: loads the index, and has a worker for each question. */

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Heap, SharedMap, u32 } from 'sabheap';
import { loadImage } from 'sabheap/node';
import { Multiples } from './image-index.js';

if (isMainThread) {
  const [file, ...primes] = process.argv.slice(2);
  const heap = loadImage(file);
  for (const prime of primes.map(Number)) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { heap: heap.handle, prime } });
    const [count, last] = await new Promise((resolve) => worker.once('message', resolve));
    console.log(`${prime} divides ${count} numbers, the last of them ${last}`);
  }
} else {
  const index = Heap.attach(workerData.heap).roots.open('index', SharedMap.type(u32, Multiples));
  parentPort.postMessage(
    index.with(workerData.prime, ({ numbers }) => [numbers.length, numbers.at(numbers.length - 1)]),
  );
}
