/**
 * Neighbours: two threads write the header of one block at the same time, each its own word of it. One
 * has the block and frees and allocates it again and again, which changes its ownership. The other frees
 * and allocates the blocks below and above, which changes "below free" in its geometry.
 *
 *      below        mine    spare    above        wall
 *      20,000 B │ 64 B │ 64 B  │ 20,000 B │ 20,000 B
 *      neighbour    holder           neighbour
 */

import { parentPort, workerData } from 'node:worker_threads';
import { type Address, Heap, type HeapHandle } from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

export interface NeighboursJob {
  readonly heap: HeapHandle;
  readonly role: 'holder' | 'neighbour';
  readonly meeting: SharedArrayBuffer;
  /** How often the neighbour frees and allocates. */
  readonly rounds: number;
}

export interface NeighboursReport {
  readonly rounds: number;
  readonly faults: readonly string[];
}

const LARGE = 20_000;
const SMALL = 64;
const VERIFY_EVERY = 200;
/** Slot of the meeting where the neighbour says that it is done. */
const DONE = 0;

const job = workerData as NeighboursJob;
const heap = Heap.attach(job.heap);
const meeting = new Rendezvous(2, job.meeting);
const faults: string[] = [];

/** Runs until the neighbour is done. Returns how often the block changed hands. */
function hold(): number {
  meeting.meet();
  const mine = heap.alloc(SMALL);
  meeting.meet();
  let rounds = 0;
  meeting.meet();
  while (meeting.load(DONE) === 0) {
    // In between a look at the word that says so: 1,000 changes without any.
    for (let i = 0; i < 1000; i++) {
      heap.free(mine);
      const again = heap.alloc(SMALL);
      if (again !== mine) faults.push(`the cache gave ${again} instead of ${mine}`);
    }
    rounds += 1000;
  }
  heap.free(mine);
  return rounds;
}

function disturb(): number {
  let below: Address = heap.alloc(LARGE);
  meeting.meet();
  // The holder allocates in between: its batch of two lies there.
  meeting.meet();
  let above: Address = heap.alloc(LARGE);
  const wall = heap.alloc(LARGE);
  if (!(below < above && above < wall && above - below > LARGE + SMALL))
    faults.push('the blocks do not lie in a row');
  meeting.meet();
  for (let round = 1; round <= job.rounds; round++) {
    heap.free(below);
    heap.free(above);
    // In its place again: the only hole that it just fits.
    below = heap.alloc(LARGE);
    above = heap.alloc(LARGE);
    if (round % VERIFY_EVERY === 0) heap.verify();
  }
  meeting.store(DONE, 1);
  for (const address of [below, above, wall]) heap.free(address);
  return job.rounds;
}

const rounds = job.role === 'holder' ? hold() : disturb();
heap.verify();
parentPort!.postMessage({ rounds, faults: faults.slice(0, 10) } satisfies NeighboursReport);
