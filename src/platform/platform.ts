/**
 * Platform: what the library asks of the runtime below it.
 *
 * `node.ts` serves Node, Bun and Deno, `web.ts` browsers. The package's `imports` choose between them
 * under the name `#platform`, so that the main entry reaches no `node:` import under browser conditions.
 * Both export the same functions; each checks itself against this interface.
 */

/** How long a worker's event loop has waited and run, in ms. Waited is -1 once the loop was taken down. */
export interface LoopTimes {
  readonly idle: number;
  readonly active: number;
}

export interface Platform {
  /** A number below 2 ** 29 that no other thread of the program has. The main thread of Node has 0. */
  threadId(): number;

  /**
   * This thread's sign of life: a number above 0 by which others learn of its end, or 0 where there is none. A
   * promise where the runtime is to be asked for it, which takes some turns of the event loop. It is had before
   * anybody is told it: a sign that is missing later is that of a thread that has ended.
   */
  signOfLife(): number | Promise<number>;

  /**
   * Whether the thread with this {@link signOfLife} has ended, so that nothing of it runs any more. False when
   * that cannot be told, or not yet: then asking has begun, and the answer is had some turns of the event loop
   * later. Never true of a thread that lives, and always false of 0.
   */
  hasEnded(sign: number): boolean;

  /**
   * Resolves when the thread with this {@link signOfLife} has ended: to true. To false when that cannot be told.
   * For a thread that is about to end; waiting keeps no process alive.
   */
  untilEnded(sign: number): Promise<boolean>;

  /** Why a Worker's 'exit' does not prove that its thread has ended, as one sentence, or undefined if it does. */
  exitProblem(): string | undefined;

  /** What a Worker object of `node:worker_threads` tells of its thread's event loop, or undefined. */
  loopTimes(worker: object): LoopTimes | undefined;

  /**
   * Calls back once with the thread id of a Worker object's thread, when that has ended, if it is an object
   * that tells of no 'exit': a browser's Worker. Returns what stops it, or undefined for any other object.
   */
  followWorker(worker: unknown, ended: (threadId: number) => void): (() => void) | undefined;

  /** May this thread sleep on a shared word? The main thread of a page may not. */
  mayBlock(): boolean;

  /**
   * Calls back once, when this thread ends by itself: whether it failed (an error that nobody caught, an exit code
   * other than 0), where others can tell that it has ended. Returns the remover.
   */
  onExit(callback: (failed: boolean) => void): () => void;

  /** Whether the processor is known to keep a thread's reads in order, and its writes, as x64 does and ARM64 does not. */
  keepsOrder(): boolean;

  /** What keeps this thread from sharing memory, as one sentence, or undefined. */
  isolationProblem(): string | undefined;
}
