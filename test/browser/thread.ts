/** A page's thread: a web worker that does the jobs of worker.ts. */

import type { Heap } from '../../src/index.ts';
import type { Answer, Job } from './worker.ts';

/** What is used of a browser's Worker; the tests are compiled without the types of the DOM. */
interface WebWorker {
  onmessage: ((event: { readonly data: Answer }) => void) | null;
  onerror: ((event: { readonly message: string }) => void) | null;
  postMessage(message: unknown, transfer: never[]): void;
  terminate(): void;
}
declare const Worker: new (url: URL, options: { type: 'module' }) => WebWorker;

const started = new Set<WebWorker>();

export class Thread {
  readonly worker: WebWorker;
  readonly #heap: Heap;
  #answered: (answer: Answer) => void = () => {};

  constructor(heap: Heap) {
    this.#heap = heap;
    this.worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    this.worker.onmessage = ({ data }) => this.#answered(data);
    this.worker.onerror = ({ message }) => this.#answered({ error: message });
    started.add(this.worker);
  }

  /** Has it do a job. Resolves with the result, or the step that it is at. */
  async do<R>(kind: Job['kind'], rest: Partial<Job> = {}): Promise<R> {
    const answer = this.next();
    this.worker.postMessage({ kind, heap: this.#heap.handle, ...rest }, []);
    return (await answer) as R;
  }

  /** What it answers next. */
  async next(): Promise<unknown> {
    const answer = await new Promise<Answer>((resolve) => {
      this.#answered = resolve;
    });
    if ('error' in answer) throw new Error(answer.error);
    return 'step' in answer ? answer.step : answer.result;
  }
}

/** Ends all threads of a test. */
export function endThreads(): void {
  for (const worker of started) worker.terminate();
  started.clear();
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
