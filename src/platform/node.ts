/**
 * Platform for Node, Bun and Deno.
 *
 * All exit callbacks hang on one listener: a process with many heaps stays below Node's listener warning.
 * A terminated thread runs no callback; that is what recovery is for.
 */

import { threadId as workerThreadId } from 'node:worker_threads';
import type { Platform } from './platform.ts';

const exitCallbacks = new Set<{ readonly callback: () => void }>();

export function threadId(): number {
  return workerThreadId;
}

export function mayBlock(): boolean {
  return true;
}

export function onExit(callback: () => void): () => void {
  // A fresh entry each time: the same function may be registered twice and removed once.
  const entry = { callback };
  if (exitCallbacks.size === 0) process.on('exit', runExitCallbacks);
  exitCallbacks.add(entry);
  return () => {
    exitCallbacks.delete(entry);
    if (exitCallbacks.size === 0) process.off('exit', runExitCallbacks);
  };
}

export function readsInOrder(): boolean {
  return process.arch === 'x64' || process.arch === 'ia32';
}

export function isolationProblem(): string | undefined {
  return undefined;
}

function runExitCallbacks(): void {
  for (const entry of exitCallbacks) {
    exitCallbacks.delete(entry);
    entry.callback();
  }
}

({ threadId, mayBlock, onExit, readsInOrder, isolationProblem }) satisfies Platform;
