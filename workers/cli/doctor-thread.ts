/** The worker of the doctor's trial: shows that it is there, and holds a lock until it is ended. */

import { parentPort, workerData } from 'node:worker_threads';
import { Heap, type HeapHandle } from '../../src/index.ts';
import { ADDED, TRIAL, Trial } from './trial.ts';

const heap = Heap.attach((workerData as { readonly heap: HeapHandle }).heap);
const trial = heap.roots.open(TRIAL, Trial)!;
heap.lock(trial.address).acquire();
trial.sum.add(ADDED);
parentPort!.postMessage('ready');
// Keeps the thread alive.
parentPort!.on('message', () => {});
