/** Stands in for src/platform: each thread of the schedule has a thread id of its own, and never exits. */

export { threadId } from './runtime.ts';

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
