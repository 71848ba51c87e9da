/** Image loader: a process that loads an image, has two workers read and write what is in it, and prints what came out. */

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Heap, SharedMap, string, u32 } from '../../src/index.ts';
import { loadImage } from '../../src/node/image-file.ts';

const Words = SharedMap.type(string, u32);

if (isMainThread) {
  const heap = loadImage(process.argv[2]!);
  const runs = [0, 1].map(() => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { heap: heap.handle } });
    return new Promise<number>((resolve, reject) => {
      let sum: number;
      worker.on('message', (message) => {
        sum = message;
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve(sum));
    });
  });
  const sums = await Promise.all(runs);
  heap.verify();
  const added = heap.roots.open('words', Words)!.get('added');
  const slots = heap.threads().map(({ slot }) => slot);
  console.log(JSON.stringify({ id: heap.id, sums, added, slots }));
} else {
  const words = Heap.attach(workerData.heap).roots.open('words', Words)!;
  let sum = 0;
  for (const [word, number] of words.entries()) if (word.startsWith('word ')) sum += number;
  words.add('added', 1);
  parentPort!.postMessage(sum);
}
