/**
 * The same index without shared memory: each worker sends the index of its files as a structured clone,
 * which the main thread merges while the workers go on. Before a thread can read the whole index, it has
 * to be sent a clone of that.
 */

import { bytesOf, type Corpus, shareOut, type TextFile } from './corpus.ts';
import type { Crew, Crews } from './crew.ts';
import type { JobOptions } from './options.ts';
import { merge, type PlainIndex } from './plain-index.ts';
import type { Progress } from './progress.ts';
import type { Run } from './run.ts';

/** Makes the index out of messages. */
export class MessagesRun implements Run {
  readonly index: PlainIndex = new Map();
  readonly #crew: Crew;
  readonly #threads: number;

  /** Starts the threads. */
  static async start(options: JobOptions, crews: Crews): Promise<MessagesRun> {
    const run = new MessagesRun(options, crews);
    await run.#crew.runOnEach('ready');
    return run;
  }

  private constructor({ threads }: JobOptions, crews: Crews) {
    this.#crew = crews.apart(threads);
    this.#threads = threads;
  }

  async make(corpus: Corpus, progress: Progress): Promise<void> {
    const mergeShare = async (share: readonly TextFile[]): Promise<void> => {
      merge(this.index, await this.#crew.run<PlainIndex>('index', share));
      progress.add(bytesOf(share));
    };
    await Promise.all(shareOut(corpus, this.#threads).map(mergeShare));
  }

  read(): Promise<number[]> {
    return this.#crew.runOnEach('countUses', this.index);
  }

  stop(): Promise<void> {
    return this.#crew.stop();
  }
}
