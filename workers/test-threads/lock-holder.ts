/** Lock holder: takes a lock, says so, and gives it back when told to or when somebody sleeps on it. */

import { parentPort, workerData } from 'node:worker_threads';
import { Memory, ParkLock, SpinLock, toAddress } from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

export interface LockHolderJob {
  readonly buffer: SharedArrayBuffer;
  readonly lock: 'spin' | 'park';
  readonly lockAddress: number;
  readonly meeting: SharedArrayBuffer;
  /** Waits until the lock word is marked as contended instead of being told. */
  readonly untilContended: boolean;
}

/** What slot 0 of the meeting says. */
export const HELD = 1;
export const LET_GO = 2;

const job = workerData as LockHolderJob;
const meeting = new Rendezvous(2, job.meeting);
const memory = Memory.attach(job.buffer);
const LockClass = job.lock === 'spin' ? SpinLock : ParkLock;
const lock = new LockClass(memory, toAddress(job.lockAddress));

lock.acquire();
meeting.announce(0, HELD);
if (job.untilContended) while (memory.i32[job.lockAddress / 4]! >= 0) meeting.pause(1);
else meeting.await(0, LET_GO);
lock.release();
parentPort!.postMessage('released');
