/**
 * Lock user: adds to a plain counter under a lock, again and again. Without mutual exclusion additions
 * get lost. Reports how its waits ended.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { Memory, ParkLock, SpinLock, toAddress } from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';
import { logSleeps, type SleepLog } from '../../test/stress/sleep-log.ts';

export interface LockUserJob {
  readonly buffer: SharedArrayBuffer;
  readonly lock: 'spin' | 'park';
  readonly lockAddress: number;
  /** Index of the counter in 32-bit words. */
  readonly counter: number;
  readonly additions: number;
  /** How long the lock is held, in turns of an empty loop. */
  readonly hold: number;
  /** Whether the thread asks by `tryAcquire` first. */
  readonly tries: boolean;
  readonly meeting: SharedArrayBuffer;
  readonly parties: number;
}

export type LockUserReport = SleepLog;

const job = workerData as LockUserJob;
const log = logSleeps();
const memory = Memory.attach(job.buffer);
const LockClass = job.lock === 'spin' ? SpinLock : ParkLock;
const lock = new LockClass(memory, toAddress(job.lockAddress), { timeout: 60_000 });

new Rendezvous(job.parties, job.meeting).meet();
for (let i = 0; i < job.additions; i++) {
  if (!(job.tries && lock.tryAcquire())) lock.acquire();
  const before = memory.u32[job.counter]!;
  for (let turn = 0; turn < job.hold; turn++)
    if (memory.u32[job.counter] !== before) throw new Error('not alone');
  memory.u32[job.counter] = before + 1;
  lock.release();
}

parentPort!.postMessage(log satisfies LockUserReport);
