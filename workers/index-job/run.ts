/** A way to make the index, and the stopwatch that all ways are timed with. */

import type { Corpus } from './corpus.ts';
import { type Progress, startProgress } from './progress.ts';

/** One way to make the index, its threads started and ready. */
export interface Run {
  /** Makes the index: until the main thread can read it. */
  make(corpus: Corpus, progress: Progress): Promise<void>;
  /** Has every thread read the whole index. Each tells how many uses of words it finds. */
  read(): Promise<number[]>;
  /** Ends the threads. */
  stop(): Promise<void>;
}

/** How long a run took, in ms. */
export interface Times {
  readonly start: number;
  readonly make: number;
  readonly read: number;
}

/** What came of a run. */
export interface Timed<R extends Run> {
  readonly run: R;
  readonly times: Times;
  /** What each thread found. */
  readonly uses: readonly number[];
}

/** Runs with a progress bar and a stopwatch. */
export async function timed<R extends Run>(
  name: string,
  corpus: Corpus,
  start: () => Promise<R>,
): Promise<Timed<R>> {
  const progress = startProgress(name, corpus.bytes);
  try {
    const began = performance.now();
    const run = await start();
    const started = performance.now();
    await run.make(corpus, progress);
    const made = performance.now();
    const uses = await run.read();
    const read = performance.now() - made;
    return { run, times: { start: started - began, make: made - started, read }, uses };
  } finally {
    progress.stop();
  }
}
