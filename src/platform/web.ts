/**
 * Platform for browsers: pages and their workers.
 *
 * There are no thread numbers, so each thread draws its own once: 29 random bits, never 0. They are kept on
 * the global object, where a second copy of the library in the same thread finds them.
 * A page says when it goes ('pagehide'); a worker that is terminated says nothing (see web-lock.ts).
 */

import type { LoopTimes, Platform } from './platform.ts';
import { answerFollowers, followWorker, hasEnded, holdThreadLock, untilUnlocked } from './web-lock.ts';

/** The few names of a browser's global object that this file uses. */
interface WebGlobal {
  [THREAD_ID]?: number;
  readonly document?: object;
  readonly crossOriginIsolated?: boolean;
  readonly crypto: { getRandomValues(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> };
  addEventListener(type: 'pagehide', listener: (event: { readonly persisted: boolean }) => void): void;
  removeEventListener(type: 'pagehide', listener: (event: { readonly persisted: boolean }) => void): void;
}

const THREAD_ID: unique symbol = Symbol.for('sabheap.threadId');
const web = globalThis as unknown as WebGlobal;

export { followWorker, hasEnded };

export function threadId(): number {
  web[THREAD_ID] ??= drawThreadId();
  return web[THREAD_ID];
}

export function signOfLife(): number | Promise<number> {
  return holdThreadLock(threadId());
}

export function untilEnded(sign: number): Promise<boolean> {
  return untilUnlocked(sign);
}

/** A browser's Worker says no 'exit'. */
export function exitProblem(): string | undefined {
  return undefined;
}

export function loopTimes(_worker: object): LoopTimes | undefined {
  return undefined;
}

export function mayBlock(): boolean {
  return web.document === undefined;
}

export function onExit(callback: (failed: boolean) => void): () => void {
  const remove = (): void => web.removeEventListener('pagehide', listener);
  const listener = (event: { readonly persisted: boolean }): void => {
    // A page kept for the back button comes back to life with its memory as it was.
    if (event.persisted) return;
    remove();
    callback(false);
  };
  web.addEventListener('pagehide', listener);
  return remove;
}

/** A page is not told on which processor it runs. */
export function keepsOrder(): boolean {
  return false;
}

export function isolationProblem(): string | undefined {
  if (web.crossOriginIsolated === true) return undefined;
  return (
    'Shared memory needs a cross-origin isolated page: serve it with the headers ' +
    'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.'
  );
}

function drawThreadId(): number {
  const word = web.crypto.getRandomValues(new Uint32Array(1))[0]!;
  return word >>> 3 || 1;
}

// At load: what asks for the id may be the first message that a worker gets.
if (web.document === undefined) answerFollowers(signOfLife);

({
  threadId,
  signOfLife,
  hasEnded,
  untilEnded,
  exitProblem,
  loopTimes,
  followWorker,
  mayBlock,
  onExit,
  keepsOrder,
  isolationProblem,
}) satisfies Platform;
