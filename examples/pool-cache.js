/**
 * A cache that all workers of a pool share: what one of them has worked out, the others find.
 *
 *     node examples/pool-cache.js        (after npm run build)
 *
 * The map lies in the heap; its handle is a few bytes, whatever it holds. It never grows beyond
 * `maxEntries`: what nobody has asked for goes first.
 */

import { Heap, SharedMap, string, u32 } from 'sabheap';
import { createHeapPool } from 'sabheap/piscina';

const heap = Heap.create();
const cache = SharedMap.create(heap, u32, string, { maxEntries: 500 });
const pool = createHeapPool({
  heap,
  filename: new URL('pool-cache-task.js', import.meta.url).href,
  maxThreads: 2,
});

const requests = Array.from({ length: 2000 }, (_, i) => (i * i) % 97);
const answers = await Promise.all(requests.map((number) => pool.run({ number, cache: cache.handle })));
const computed = answers.filter(({ hit }) => !hit).length;

console.log(`${answers.length} answers, ${cache.size} in the cache`);
console.log(`17! = ${cache.get(17) ?? 'not asked for'}, 16! = ${cache.get(16)}`);
console.log(computed < 200 ? 'few were worked out' : `${computed} were worked out`);

await pool.close();
cache.destroy();
console.log(`${heap.stats().liveBlocks} blocks are live`);
