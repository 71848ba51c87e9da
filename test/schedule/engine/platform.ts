/** Stands in for src/platform: each thread of the schedule has an id of its own, and exits without a word. */

import { isDead, threadId } from './runtime.ts';

export { threadId };

/** What is added to thread ids, so that a mix-up shows. */
const KERNEL = 1000;

export function kernelThread(): number {
  return KERNEL + threadId();
}

export function hasEnded(kernelThread: number): boolean {
  return isDead(kernelThread - KERNEL);
}

export function mayBlock(): boolean {
  return true;
}

export function onExit(): () => void {
  return () => {};
}

export function readsInOrder(): boolean {
  return true;
}

export function isolationProblem(): undefined {
  return undefined;
}
