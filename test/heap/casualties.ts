/** Heaps and threads for tests of what death leaves behind: see workers/test-threads/casualty.ts. */

import { Worker, type WorkerOptions } from 'node:worker_threads';
import { expect } from 'vitest';
import { Mutex } from '../../src/containers/mutex.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { MiB } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import type { End } from '../../workers/test-threads/casualty.ts';
import type { CasualtyThreadJob } from '../../workers/test-threads/casualty-thread.ts';
import { Rendezvous } from '../stress/rendezvous.ts';
import { STEP } from '../stress/steps.ts';

/** Declared alike in the workers, which load the built files. */
const Account = struct('Account', { writes: u32 });

/** The limit at which `exhaust` ends a thread. */
export const SMALL = { maxOldGenerationSizeMb: 16 } as const;

const HELD = new Set(['live', 'shared', 'orphan']);

/** A heap with a mutex, and what was free before anybody came. */
export class Scene {
  readonly heap: Heap;
  readonly mutex: Mutex<typeof Account>;
  readonly #largest: number;

  constructor(options: HeapOptions = {}) {
    this.heap = Heap.create({ byteLength: 4 * MiB, maxThreads: 4, lockTimeout: 60_000, ...options });
    this.#largest = this.heap.stats().largestFree;
    this.mutex = Mutex.create(this.heap, Account);
  }

  /** What a casualty is told. */
  job(end: End, holds = 0): { job: Omit<CasualtyThreadJob, 'heap' | 'onMessage'>; meeting: Rendezvous } {
    const meeting = new Rendezvous(2, 2);
    return { job: { end, holds, mutex: this.mutex.handle, meeting: meeting.buffer }, meeting };
  }

  /** Starts a thread that falls. The slot `STEP` of the meeting is 1 once it has the lock. */
  start(end: End, { holds = 0, onMessage = false } = {}): { worker: Worker; meeting: Rendezvous } {
    const { job, meeting } = this.job(end, holds);
    const workerData: CasualtyThreadJob = { ...job, heap: this.heap.handle, onMessage };
    const options: WorkerOptions = { workerData, stderr: true };
    if (end === 'exhaust') options.resourceLimits = SMALL;
    const url = new URL('../../dist/workers/test-threads/casualty-thread.js', import.meta.url);
    const worker = new Worker(url, options);
    worker.on('error', () => {});
    return { worker, meeting };
  }

  /** Ends a thread that does not end by itself, once it has the lock. */
  finish(end: End, worker: Worker, meeting: Rendezvous): void {
    if (end !== 'spin' && end !== 'fill') return;
    meeting.await(STEP, 1);
    void worker.terminate();
  }

  /** Everything that the dead had is there for others; with all freed, the heap is as it was. */
  expectSound(): void {
    const { heap, mutex } = this;
    expect(heap.threads().map(({ slot }) => slot)).toEqual([heap.threadSlot]);
    heap.verify();
    const lock = mutex.lock({ timeout: 0 });
    lock.unlock();
    mutex.destroy();
    for (const { address, state } of heap.blocks()) if (HELD.has(state)) heap.free(address);
    heap.flush();
    heap.verify();
    expect(heap.stats()).toMatchObject({ liveBlocks: 0, largestFree: this.#largest });
  }
}
