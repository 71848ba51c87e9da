/**
 * Crews that are plain worker threads, for where there is no Piscina. One message is a task, the next one
 * its answer: a thread has one task at a time.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Heap } from '../../src/index.ts';
import type { Crew, Crews } from './crew.ts';

/** What a worker is sent. */
export interface Task {
  readonly name: string;
  readonly task: unknown;
}

/** What it answers. */
export type Answer = { readonly result: unknown } | { readonly error: unknown };

class Thread {
  readonly #worker: Worker;
  /** Never resolves. Rejects when the thread ends, with its error if it has one. */
  readonly #ended: Promise<never>;

  constructor(heap: Heap | undefined) {
    const workerData = { heap: heap?.handle };
    this.#worker = new Worker(new URL('./crew-thread.js', import.meta.url), { workerData });
    this.#ended = once(this.#worker, 'exit').then(() => {
      throw new Error('a worker thread ended before its work was done');
    });
    // Who waits for an answer is told; when nobody does, it is the end that `stop` asked for.
    this.#ended.catch(() => {});
    heap?.watch(this.#worker);
  }

  async run(task: Task): Promise<unknown> {
    const answered = new Promise<Answer>((resolve) => this.#worker.once('message', resolve));
    this.#worker.postMessage(task);
    const answer = await Promise.race([answered, this.#ended]);
    if ('error' in answer) throw answer.error;
    return answer.result;
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

class Threads implements Crew {
  readonly #all: readonly Thread[];
  readonly #free: Thread[];
  /** Who waits for a thread that is free. */
  readonly #waiting: ((thread: Thread) => void)[] = [];

  constructor(count: number, heap?: Heap) {
    this.#all = Array.from({ length: count }, () => new Thread(heap));
    this.#free = [...this.#all];
  }

  async run<R>(name: string, task: unknown = null): Promise<R> {
    const thread = this.#free.pop() ?? (await new Promise<Thread>((take) => this.#waiting.push(take)));
    try {
      return (await thread.run({ name, task })) as R;
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(thread);
      else next(thread);
    }
  }

  runOnEach<R>(name: string, task?: unknown): Promise<R[]> {
    return Promise.all(this.#all.map(() => this.run<R>(name, task)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((thread) => thread.stop()));
  }
}

/** Crews that are plain worker threads. */
export const threads: Crews = {
  sharing: (heap, count) => new Threads(count, heap),
  apart: (count) => new Threads(count),
};
