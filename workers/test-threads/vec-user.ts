/**
 * Vec user: one thread changes two vecs without end while the others read them without a lock, which
 * nobody should; or each appends to a vec of its own and hands it over. Reports a sum.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { f64, Heap, type HeapHandle, SharedVec, string, type VecHandle } from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

export interface VecUserJob {
  readonly heap: HeapHandle;
  readonly meeting: SharedArrayBuffer;
  readonly parties: number;
  readonly act: 'write' | 'read' | 'build';
  readonly rounds: number;
  readonly numbers?: VecHandle<typeof f64>;
  readonly words?: VecHandle<typeof string>;
}

export interface VecUserReport {
  /** Elements read, or the sum of those built. */
  readonly sum: number;
  /** Errors that reads without a lock gave, by name. */
  readonly errors: readonly string[];
  readonly built?: VecHandle<typeof string>;
}

const job = workerData as VecUserJob;
const heap = Heap.attach(job.heap);
const meeting = new Rendezvous(job.parties, job.meeting);
const report = { build, read, write }[job.act]();
parentPort!.postMessage(report satisfies VecUserReport);
heap.detach();

function build(): VecUserReport {
  const words = SharedVec.create(heap, string);
  meeting.meet();
  let sum = 0;
  for (let i = 0; i < job.rounds; i++) {
    words.push(`${heap.threadSlot} ${i}`);
    if (i % 3 === 0) words.swapRemove(i % words.length);
    else sum++;
  }
  words.shrink();
  return { sum, errors: [], built: words.handle };
}

function write(): VecUserReport {
  const numbers = SharedVec.open(heap, job.numbers!, f64);
  const words = SharedVec.open(heap, job.words!, string);
  meeting.meet();
  for (let i = 0; i < job.rounds; i++) {
    numbers.push(1);
    words.push(`word ${i}`);
    if (i % 1000 === 999) {
      numbers.truncate(10);
      numbers.shrink();
      words.truncate(5);
      words.shrink();
    }
  }
  meeting.meet();
  return { sum: job.rounds, errors: [] };
}

function read(): VecUserReport {
  const numbers = SharedVec.open(heap, job.numbers!, f64);
  const words = SharedVec.open(heap, job.words!, string);
  const errors = new Set<string>();
  meeting.meet();
  let sum = 0;
  for (let i = 0; i < job.rounds; i++) {
    try {
      for (const value of numbers) sum += typeof value === 'number' ? 1 : 0;
      const text = words.at(i % 5);
      if (typeof text !== 'string') throw new TypeError('no text');
    } catch (error) {
      errors.add((error as Error).name);
    }
  }
  meeting.meet();
  return { sum, errors: [...errors] };
}
