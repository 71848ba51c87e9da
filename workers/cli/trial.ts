/** The doctor's trial: a worker attaches to a heap, and is ended while it holds a lock. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { type Address, atomic, type Heap, LockTimeoutError, struct, u32 } from '../../src/index.ts';

/** Where doctor and worker meet. The lock comes first: its address is that of the struct. */
export const Trial = struct('DoctorTrial', { lock: u32, nextHeld: u32, sum: atomic(u32) });
export const TRIAL = 'doctor trial';
/** What the worker adds to the sum, to be seen. */
export const ADDED = 42;

/** A worker that has not come so far by then will not, in ms. */
const PATIENCE_MS = 60_000;
/** A death that is not seen by then is not seen without events, in ms. */
const LOCK_MS = 2000;

/** What the trial came to, in ms. */
export interface TrialResult {
  /** Until the worker had attached and written. */
  readonly attachMs: number;
  /** Until the dead worker's lock was had, while no event could come. Undefined when it was not. */
  readonly lockMs: number | undefined;
}

/**
 * Uses the heap up.
 *
 * @throws Error when no worker can use the heap
 */
export async function tryWorker(heap: Heap): Promise<TrialResult> {
  const trial = heap.new(Trial);
  heap.roots.set(TRIAL, trial);
  const began = performance.now();
  const worker = new Worker(new URL('./doctor-thread.js', import.meta.url), {
    workerData: { heap: heap.handle },
  });
  const ended = once(worker, 'exit');
  // Its error is told by `message` below.
  ended.catch(() => {});
  try {
    await once(worker, 'message', { signal: AbortSignal.timeout(PATIENCE_MS) });
    const attachMs = performance.now() - began;
    if (trial.sum.load() !== ADDED) throw new Error('what the worker wrote is not seen here');
    const lockMs = takeFromDead(heap, worker, trial.address);
    await ended;
    heap.verify();
    return { attachMs, lockMs };
  } finally {
    await worker.terminate();
    heap.detach();
  }
}

/** Ends the worker and waits for the lock in its hands, without giving way to events. */
function takeFromDead(heap: Heap, worker: Worker, address: Address): number | undefined {
  const lock = heap.lock(address);
  const began = performance.now();
  void worker.terminate();
  try {
    lock.acquire(LOCK_MS);
  } catch (error) {
    if (error instanceof LockTimeoutError) return undefined;
    throw error;
  }
  lock.release();
  return performance.now() - began;
}
