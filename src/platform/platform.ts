/**
 * Platform: what the library asks of the runtime below it.
 *
 * `node.ts` serves Node, Bun and Deno, `web.ts` browsers. The package's `imports` choose between them
 * under the name `#platform`, so that the main entry reaches no `node:` import under browser conditions.
 * Both export the same functions; each checks itself against this interface.
 */

export interface Platform {
  /** A number below 2 ** 29 that no other thread of the program has. The main thread of Node has 0. */
  threadId(): number;

  /** The operating system's number of this thread, above 0, or 0 where it cannot be had. */
  kernelThread(): number;

  /**
   * Whether the thread that {@link kernelThread} gave that number for has ended, so that nothing of it runs any
   * more. False when that cannot be told; never true of a thread that lives.
   */
  hasEnded(kernelThread: number): boolean;

  /** May this thread sleep on a shared word? The main thread of a page may not. */
  mayBlock(): boolean;

  /** Calls back once, when this thread ends by itself. Returns the remover. */
  onExit(callback: () => void): () => void;

  /** Whether the processor is known to make one thread's reads in their order, as x64 does and ARM64 does not. */
  readsInOrder(): boolean;

  /** What keeps this thread from sharing memory, as one sentence, or undefined. */
  isolationProblem(): string | undefined;
}
