/** Doomed holder: takes what it is told to, says so, and holds it until it is killed. */

import { workerData } from 'node:worker_threads';
import {
  Arc,
  type ArcHandle,
  Barrier,
  type Handle,
  Heap,
  type HeapHandle,
  Mutex,
  type MutexHandle,
  Once,
  RwLock,
  type RwLockHandle,
  Semaphore,
  struct,
  u32,
} from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

export type Held = 'mutex' | 'read' | 'write' | 'permits' | 'once' | 'barrier' | 'arc';

export interface DoomedHolderJob {
  readonly heap: HeapHandle;
  readonly held: Held;
  readonly handle: Handle;
  readonly meeting: SharedArrayBuffer;
}

/** What slot 0 of the meeting says once it is held. */
export const HELD = 1;

export const Value = struct('Value', { value: u32 });

const job = workerData as DoomedHolderJob;
const meeting = new Rendezvous(2, job.meeting);
const heap = Heap.attach(job.heap);

function hold(): void {
  meeting.announce(0, HELD);
  // Not a wait for ever, so that the end comes at a call of the engine as it does anywhere.
  for (;;) meeting.pause(10_000);
}

const acts: Record<Held, () => void> = {
  mutex: () => Mutex.open(heap, job.handle as MutexHandle<typeof Value>, Value).with(hold),
  read: () => RwLock.open(heap, job.handle as RwLockHandle<typeof Value>, Value).read(hold),
  write: () => RwLock.open(heap, job.handle as RwLockHandle<typeof Value>, Value).write(hold),
  permits: () => Semaphore.open(heap, job.handle).with(hold, 2),
  once: () => Once.open(heap, job.handle).run(hold),
  barrier: () => {
    const barrier = Barrier.open(heap, job.handle);
    meeting.announce(0, HELD);
    barrier.wait({ timeout: 60_000 });
  },
  // Ends in the middle of counting, as often as not.
  arc: () => {
    const mine = Arc.open(heap, job.handle as ArcHandle<typeof Value>, Value);
    meeting.announce(0, HELD);
    for (;;) {
      const clones = [mine.clone(), mine.clone(), mine.clone()];
      const weak = mine.downgrade();
      for (const clone of clones) clone.drop();
      weak.drop();
    }
  },
};

acts[job.held]();
