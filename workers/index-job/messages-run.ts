/**
 * The same index without shared memory: each worker sends the index of its files as a structured clone,
 * which the main thread merges while the workers go on. Before a thread can read the whole index, it has
 * to be sent a clone of that.
 */

import { Piscina } from 'piscina';
import { bytesOf, type Corpus, shareOut, type TextFile } from './corpus.ts';
import type { JobOptions } from './options.ts';
import { merge, type PlainIndex } from './plain-index.ts';
import type { Progress } from './progress.ts';
import { onEveryThread, type Run } from './run.ts';

/** Makes the index out of messages. */
export class MessagesRun implements Run {
  readonly index: PlainIndex = new Map();
  readonly #pool: Piscina;

  /** Starts the threads. */
  static async start(options: JobOptions): Promise<MessagesRun> {
    const run = new MessagesRun(options);
    await onEveryThread(run.#pool, 'ready');
    return run;
  }

  private constructor({ threads }: JobOptions) {
    const filename = new URL('messages-task.js', import.meta.url).href;
    this.#pool = new Piscina({ filename, minThreads: threads, maxThreads: threads });
  }

  async make(corpus: Corpus, progress: Progress): Promise<void> {
    const mergeShare = async (share: readonly TextFile[]): Promise<void> => {
      merge(this.index, await this.#pool.run(share));
      progress.add(bytesOf(share));
    };
    await Promise.all(shareOut(corpus, this.#pool.maxThreads).map(mergeShare));
  }

  read(): Promise<number[]> {
    return onEveryThread(this.#pool, 'countUses', this.index);
  }

  stop(): Promise<void> {
    return this.#pool.destroy();
  }
}
