/**
 * Support: what the runtime offers that this library can use, so that a program can tell its user before it
 * makes a heap, or choose another way.
 *
 *     const { problem } = runtimeSupport();
 *     if (problem !== undefined) showInstead(problem);
 */

import { isolationProblem, mayBlock } from '#platform';
import { hasPause, hasWaitAsync } from './atomics.ts';

/** What the calling thread's runtime offers. */
export interface RuntimeSupport {
  /** Why this thread cannot share memory with others, as one sentence. Undefined when it can. */
  readonly problem: string | undefined;
  /** Whether this thread may sleep for a lock. The main thread of a page may not: it uses the `…Async` forms. */
  readonly mayBlock: boolean;
  /** Whether there is `Atomics.waitAsync`. Without it the `…Async` forms look at their word every ms. */
  readonly waitAsync: boolean;
  /** Whether there is `Atomics.pause`, which makes spinning cheaper. */
  readonly pause: boolean;
  /** Whether there is `Symbol.dispose`, so that `using` closes what it holds. */
  readonly dispose: boolean;
}

/** Tells what the calling thread's runtime offers. Never throws, and makes no heap. */
export function runtimeSupport(): RuntimeSupport {
  const isMissing = typeof SharedArrayBuffer === 'undefined';
  return {
    problem: isolationProblem() ?? (isMissing ? 'This runtime has no SharedArrayBuffer.' : undefined),
    mayBlock: mayBlock(),
    waitAsync: hasWaitAsync,
    pause: hasPause,
    dispose: Symbol.dispose !== undefined,
  };
}
