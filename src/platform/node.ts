/**
 * Platform for Node, Bun and Deno.
 *
 * All exit callbacks hang on one listener: a process with many heaps stays below Node's listener warning.
 * A terminated thread runs no callback; that is what recovery is for.
 */

import { existsSync, readlinkSync } from 'node:fs';
import { threadId as workerThreadId } from 'node:worker_threads';
import type { Platform } from './platform.ts';

const THIS_THREAD = '/proc/thread-self';

const exitCallbacks = new Set<{ readonly callback: () => void }>();

export function threadId(): number {
  return workerThreadId;
}

/** Linux shows each thread as a folder, from its start until it has run its last instruction. */
export function signOfLife(): number | Promise<number> {
  // Deno would ask its user for leave to read there.
  if (process.platform !== 'linux' || 'Deno' in globalThis) return 0;
  try {
    return Number(/\d+$/.exec(readlinkSync(THIS_THREAD))?.[0] ?? 0);
  } catch {
    return 0;
  }
}

export function hasEnded(sign: number): boolean {
  if (sign === 0 || existsSync(`/proc/self/task/${sign}`)) return false;
  // Where a sandbox hides the folders, that of the thread that asks is hidden too.
  return existsSync(THIS_THREAD);
}

/** All workers here tell of their 'exit'. */
export function followWorker(_worker: unknown, _ended: (threadId: number) => void): (() => void) | undefined {
  return undefined;
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

({
  threadId,
  signOfLife,
  hasEnded,
  followWorker,
  mayBlock,
  onExit,
  readsInOrder,
  isolationProblem,
}) satisfies Platform;
