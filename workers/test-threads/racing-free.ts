/**
 * Racing frees: in each round one thread allocates a block, and all free it at the same moment. Reports
 * how many of this thread's frees were taken, and what else than a refusal was thrown.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { type Address, InvalidFreeError, Locked, Memory } from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

export interface RacingFreeJob {
  readonly buffer: SharedArrayBuffer;
  readonly start: number;
  readonly meeting: SharedArrayBuffer;
  readonly parties: number;
  readonly index: number;
  readonly rounds: number;
}

export interface RacingFreeReport {
  readonly taken: number;
  /** Rounds of this thread's turns in which not exactly one free was taken. */
  readonly unfair: number;
  readonly errors: readonly string[];
}

/** Slot of the block's unit, and of the counts of frees that were taken in even and in odd rounds. */
const BLOCK = 0;
const TAKEN = 1;

const job = workerData as RacingFreeJob;
const meeting = new Rendezvous(job.parties, job.meeting);
const allocator = Locked.attach(Memory.attach(job.buffer), job.start);

let taken = 0;
let unfair = 0;
const errors: string[] = [];

for (let round = 0; round < job.rounds; round++) {
  const count = TAKEN + (round % 2);
  const mine = round % job.parties === job.index;
  if (mine) {
    meeting.store(count, 0);
    meeting.store(BLOCK, allocator.alloc((round * 13) % 200) / 8);
  }
  meeting.meet();
  const address = ((meeting.load(BLOCK) >>> 0) * 8) as Address;
  try {
    allocator.free(address);
    taken++;
    meeting.add(count, 1);
  } catch (error) {
    if (!(error instanceof InvalidFreeError && error.address === address)) errors.push(String(error));
  }
  meeting.meet();
  if (mine && meeting.load(count) !== 1) unfair++;
}

parentPort!.postMessage({ taken, unfair, errors } satisfies RacingFreeReport);
