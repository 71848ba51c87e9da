/** Crews: the threads of a run, wherever they come from. A pool of Piscina or plain worker threads. */

import type { Heap } from '../../src/index.ts';

/** Threads that all know the same tasks by name. */
export interface Crew {
  /** Has a thread do a task: one that is free, or the first that becomes free. */
  run<R>(name: string, task?: unknown): Promise<R>;
  /** Has every thread do a task. They must be free: then each gets one. */
  runOnEach<R>(name: string, task?: unknown): Promise<R[]>;
  /** Ends the threads. */
  stop(): Promise<void>;
}

/** Where the job gets its threads from. */
export interface Crews {
  /** Threads that share a heap, for the tasks of shared-tasks.ts. */
  sharing(heap: Heap, threads: number): Crew;
  /** Threads that share nothing, for those of messages-tasks.ts. */
  apart(threads: number): Crew;
}
