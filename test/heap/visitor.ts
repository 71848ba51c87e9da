/** Sends threads to a heap: see workers/test-threads/heap-visitor.ts for what they do there. */

import type { Worker } from 'node:worker_threads';
import type { Heap } from '../../src/heap/heap.ts';
import type { HeapVisitorJob } from '../../workers/test-threads/heap-visitor.ts';
import { startMember } from '../stress/crew.ts';
import { Rendezvous } from '../stress/rendezvous.ts';
import { WORD } from '../stress/steps.ts';

export interface Visit<Report> {
  readonly worker: Worker;
  readonly meeting: Rendezvous;
  /** The thread's id, noted while it lives: afterwards it is -1. */
  readonly threadId: number;
  readonly report: Promise<Report>;
  /** Resolves when the thread is gone, however it went. */
  readonly gone: Promise<void>;
}

export function visit<Report>(heap: Heap, act: HeapVisitorJob['act'], address?: number): Visit<Report> {
  const meeting = new Rendezvous(2, 2);
  const job = {
    heap: heap.handle,
    act,
    meeting: meeting.buffer,
    ...(address === undefined ? {} : { address }),
  };
  const { worker, report } = startMember<HeapVisitorJob, Report>('heap-visitor', job);
  // Many acts end without a report.
  report.catch(() => {});
  const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  return { worker, meeting, threadId: worker.threadId, report, gone };
}

/** The word that the visitor told: mostly its slot. */
export function told({ meeting }: Visit<unknown>): number {
  return meeting.load(WORD);
}
