/** Crews that are pools of Piscina. */

import { Piscina } from 'piscina';
import { createHeapPool } from '../../src/threads/piscina.ts';
import type { Crew, Crews } from './crew.ts';

class Pool implements Crew {
  readonly #pool: Piscina;

  constructor(pool: Piscina) {
    this.#pool = pool;
  }

  run<R>(name: string, task: unknown = null): Promise<R> {
    return this.#pool.run(task, { name });
  }

  runOnEach<R>(name: string, task?: unknown): Promise<R[]> {
    return Promise.all(this.#pool.threads.map(() => this.run<R>(name, task)));
  }

  stop(): Promise<void> {
    return this.#pool.destroy();
  }
}

/** Crews that are pools of Piscina. */
export const pools: Crews = {
  sharing: (heap, threads) => {
    const filename = new URL('./pool-sharing.js', import.meta.url).href;
    return new Pool(createHeapPool({ heap, filename, minThreads: threads, maxThreads: threads }));
  },
  apart: (threads) => {
    const filename = new URL('./pool-apart.js', import.meta.url).href;
    return new Pool(new Piscina({ filename, minThreads: threads, maxThreads: threads }));
  },
};
