/** Image saver: saves a heap of 4 MiB to the file that it is told of, and says what went wrong. */

import { Heap, MiB } from '../../src/index.ts';
import { saveImage } from '../../src/node/image-file.ts';

const heap = Heap.create({ byteLength: 8 * MiB });
heap.memory.bytes(heap.alloc(4 * MiB), 4 * MiB).fill(3);
try {
  saveImage(heap, process.argv[2]!);
  console.log('saved');
} catch (error) {
  console.log(String(error));
}
