/**
 * Platform for Node, Bun and Deno.
 *
 * All exit callbacks hang on one listener: a process with many heaps stays below Node's listener warning.
 * A terminated thread runs no callback; that is what recovery is for.
 */

import { existsSync, readlinkSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { type Worker, threadId as workerThreadId } from 'node:worker_threads';
import type { LoopTimes, Platform } from './platform.ts';

const THIS_THREAD = '/proc/thread-self';
/** How often a thread that was told to end is looked at, in ms. */
const LOOK_EVERY_MS = 20;

/** What is used of Deno's global object. */
interface Deno {
  readonly permissions: { querySync(wanted: { name: 'read'; path: string }): { readonly state: string } };
}

const deno = (globalThis as { readonly Deno?: Deno }).Deno;
const isNode = deno === undefined && !('Bun' in globalThis);

const exitCallbacks = new Set<{ readonly callback: (failed: boolean) => void }>();

export function threadId(): number {
  return workerThreadId;
}

/** Linux shows each thread as a folder, from its start until it has run its last instruction. */
export function signOfLife(): number | Promise<number> {
  if (!tellsThreads()) return 0;
  try {
    return Number(/\d+$/.exec(readlinkSync(THIS_THREAD))?.[0] ?? 0);
  } catch {
    return 0;
  }
}

export function hasEnded(sign: number): boolean {
  if (sign === 0 || !tellsThreads()) return false;
  try {
    if (existsSync(`/proc/self/task/${sign}`)) return false;
    // Where a sandbox hides the folders, that of the thread that asks is hidden too.
    return existsSync(THIS_THREAD);
  } catch {
    // Deno wants more than the leave to read there.
    return false;
  }
}

/** Deno asks its user for leave to read, unless it is known to have it. */
function tellsThreads(): boolean {
  if (process.platform !== 'linux') return false;
  return (
    deno === undefined || deno.permissions.querySync({ name: 'read', path: '/proc' }).state === 'granted'
  );
}

/** Deno's Worker says 'exit' when `terminate()` is called, and its thread runs on: for ever, at its first run. */
export function exitProblem(): string | undefined {
  if (deno === undefined) return undefined;
  return (
    "Deno says 'exit' of a worker that may still run: have it detach() before it is terminated, " +
    'or on Linux run with --allow-all, where the kernel tells when its thread has ended.'
  );
}

export async function untilEnded(sign: number): Promise<boolean> {
  if (sign === 0 || signOfLife() === 0) return false;
  while (!hasEnded(sign)) await setTimeout(LOOK_EVERY_MS, undefined, { ref: false });
  return true;
}

/** Bun and Deno have the name, and nothing behind it. */
export function loopTimes(worker: object): LoopTimes | undefined {
  return isNode ? (worker as Partial<Worker>).performance?.eventLoopUtilization() : undefined;
}

/** All workers here tell of their 'exit'. */
export function followWorker(_worker: unknown, _ended: (threadId: number) => void): (() => void) | undefined {
  return undefined;
}

export function mayBlock(): boolean {
  return true;
}

export function onExit(callback: (failed: boolean) => void): () => void {
  // A fresh entry each time: the same function may be registered twice and removed once.
  const entry = { callback };
  if (exitCallbacks.size === 0) process.on('exit', runExitCallbacks);
  exitCallbacks.add(entry);
  return () => {
    exitCallbacks.delete(entry);
    if (exitCallbacks.size === 0) process.off('exit', runExitCallbacks);
  };
}

export function keepsOrder(): boolean {
  return process.arch === 'x64' || process.arch === 'ia32';
}

export function isolationProblem(): string | undefined {
  return undefined;
}

function runExitCallbacks(code: number): void {
  const isSeen = exitProblem() === undefined || signOfLife() !== 0;
  for (const entry of exitCallbacks) {
    exitCallbacks.delete(entry);
    entry.callback(code !== 0 && isSeen);
  }
}

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
