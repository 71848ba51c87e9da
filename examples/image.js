/**
 * An index that is built once and kept in a file: a fresh process answers from it, and so do its workers, without
 * parsing anything.
 *
 *     node examples/image.js        (after npm run build)
 *
 * The index lists for each prime number up to 100 which of the first 100,000 numbers it divides.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Heap, SharedMap, u32 } from 'sabheap';
import { saveImage } from 'sabheap/node';
import { Multiples } from './image-index.js';

const folder = mkdtempSync(join(tmpdir(), 'sabheap-example-'));
const file = join(folder, 'multiples.heap');

const heap = Heap.create();
const index = SharedMap.create(heap, u32, Multiples);
for (let prime = 2; prime < 100; prime++) {
  if (Array.from(index.keys()).some((smaller) => prime % smaller === 0)) continue;
  const numbers = Array.from({ length: Math.floor(100_000 / prime) }, (_, i) => (i + 1) * prime);
  index.set(prime, { numbers });
}
heap.roots.set('index', index);
saveImage(heap, file);
console.log(`${index.size} lists are kept in a file`);

const server = fileURLToPath(new URL('image-server.js', import.meta.url));
process.stdout.write(execFileSync(process.execPath, [server, file, '7', '11', '13'], { encoding: 'utf8' }));
rmSync(folder, { recursive: true });
