/** Fills a heap with live blocks, says so, and is at the allocator's lock from then on, until it is terminated. */

import { parentPort, workerData } from 'node:worker_threads';
import { Random } from '../../bench/workloads/random.ts';
import { Heap, type HeapHandle } from '../../src/index.ts';

const { handle, live, mostBytes } = workerData as { handle: HeapHandle; live: number; mostBytes: number };
/** No cache takes blocks as large as these. */
const LARGE = 8000;

const heap = Heap.attach(handle);
const random = new Random(4141);
const extra = live >>> 3;
const blocks = Array.from({ length: live + extra }, () => heap.alloc(24 + random.below(mostBytes - 23)));
if (blocks.includes(0 as never)) throw new Error(`no room for ${blocks.length} blocks`);
// Free blocks between them, which no neighbours are.
for (let i = 0; i < extra; i++) heap.free(blocks[i * 9]!);
heap.flush();
parentPort!.postMessage('filled');
for (;;) heap.free(heap.alloc(LARGE));
