/**
 * Root racer: round after round all threads ask for the same new root at the same moment. Reports which
 * address each round gave, and how often this thread was the one that made it.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { Heap, type HeapHandle, struct, u32 } from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

export interface RootRacerJob {
  readonly heap: HeapHandle;
  readonly meeting: SharedArrayBuffer;
  readonly parties: number;
  readonly rounds: number;
  /** Every so many rounds whoever makes fails the first time. */
  readonly failEvery: number;
}

export interface RootRacerReport {
  readonly addresses: readonly number[];
  readonly made: number;
  readonly failed: number;
}

const Cell = struct('Cell', { round: u32, complete: u32 });
/** Slot of the meeting where the first maker of a round notes that it failed. */
const FAILED = 0;

const job = workerData as RootRacerJob;
const meeting = new Rendezvous(job.parties, job.meeting);
// Attaching is part of the race.
meeting.meet();
const heap = Heap.attach(job.heap);
const addresses: number[] = [];
let made = 0;
let failed = 0;

function make(round: number): { readonly address: ReturnType<Heap['alloc']> } {
  if (round % job.failEvery === 0 && meeting.exchange(FAILED, round + 1) !== round + 1) {
    failed++;
    throw new Error('failed on purpose');
  }
  made++;
  const cell = heap.new(Cell, { round });
  cell.complete = 1;
  return cell;
}

for (let round = 0; round < job.rounds; round++) {
  meeting.meet();
  for (;;) {
    try {
      const cell = heap.roots.openOrCreate(`round ${round}`, Cell, () => make(round));
      if (cell.round !== round || cell.complete !== 1) throw new Error(`round ${round} gave half a cell`);
      addresses.push(cell.address);
      break;
    } catch (error) {
      if ((error as Error).message !== 'failed on purpose') throw error;
    }
  }
}

parentPort!.postMessage({ addresses, made, failed } satisfies RootRacerReport);
