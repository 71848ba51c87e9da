/** Stands in for src/platform: each thread of the schedule has an id of its own, and exits without a word. */

import { isDead, threadId } from './runtime.ts';

export { threadId };

/** What is added to thread ids, so that a mix-up shows. */
const SIGN = 1000;

export function signOfLife(): number {
  return SIGN + threadId();
}

export function hasEnded(sign: number): boolean {
  return isDead(sign - SIGN);
}

export async function untilEnded(sign: number): Promise<boolean> {
  return hasEnded(sign);
}

export function exitProblem(): undefined {
  return undefined;
}

export function loopTimes(): undefined {
  return undefined;
}

export function followWorker(): undefined {
  return undefined;
}

export function mayBlock(): boolean {
  return true;
}

export function onExit(): () => void {
  return () => {};
}

export function keepsOrder(): boolean {
  return true;
}

export function isolationProblem(): undefined {
  return undefined;
}
