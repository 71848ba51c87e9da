/**
 * Lost workers: where 'exit' does not prove that a thread has ended, as on Deno, it is reaped once there is a
 * proof. Where there is none, what it held is poisoned, and nobody waits for it.
 */

import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { HeapCorruptionError } from '../../src/errors.ts';
import type { Heap } from '../../src/heap/heap.ts';
import type { ReapReport } from '../../src/heap/recovery.ts';
import type { End } from '../../workers/test-threads/casualty.ts';
import { Scene } from './casualties.ts';

const platform = vi.hoisted(() => ({ answer: (_isProven: boolean): void => {} }));

vi.mock('../../src/platform/node.ts', async (original) => ({
  ...(await original<object>()),
  hasEnded: () => false,
  exitProblem: () => "This runtime says 'exit' too early.",
  loopTimes: () => undefined,
  untilEnded: () => new Promise<boolean>((resolve) => Object.assign(platform, { answer: resolve })),
}));

let scene: Scene;
let heap: Heap;
beforeEach(() => {
  scene = new Scene({ lockTimeout: 60_000 });
  heap = scene.heap;
});
afterEach(() => heap.detach());

interface Ended {
  readonly worker: Worker;
  readonly threadId: number;
  readonly reports: ReapReport[];
  readonly failures: unknown[];
  readonly stop: () => void;
}

/** A watched worker that has said 'exit'. */
async function ended(end: End): Promise<Ended> {
  const { worker } = scene.start(end);
  const { threadId } = worker;
  const [reports, failures]: [ReapReport[], unknown[]] = [[], []];
  const stop = heap.watch(worker, {
    onReaped: (report) => reports.push(report),
    onFailed: (error) => failures.push(error),
  });
  await new Promise((resolve) => worker.once('exit', resolve));
  return { worker, threadId, reports, failures, stop };
}

/** Answers whether the thread has ended, and lets the heap act on it. */
async function prove(isProven: boolean): Promise<void> {
  platform.answer(isProven);
  await new Promise((resolve) => setImmediate(resolve));
}

test('it is reaped when its end is proven, and no earlier', async () => {
  const { reports, failures } = await ended('exit');
  expect(heap.threads()).toMatchObject([{}, { state: 'active' }]);
  expect(reports).toEqual([]);
  await prove(true);
  expect(reports).toMatchObject([{ slot: 2 }]);
  expect(failures).toEqual([]);
  scene.expectSound();
});

test('without a proof what it held is poisoned, and the error says why', async () => {
  const { failures, reports } = await ended('exit');
  const waiting = scene.mutex.lockAsync();
  await prove(false);
  const why = "may still run: make a new heap. This runtime says 'exit' too early.";
  await expect(waiting).rejects.toThrow(why);
  expect(() => scene.mutex.lock()).toThrow(HeapCorruptionError);
  expect(() => scene.mutex.tryLock()).toThrow(why);
  expect(reports).toEqual([]);
  expect(failures).toMatchObject([{ name: 'HeapCorruptionError' }]);
  expect(String(failures[0])).toContain('too early');
});

test('all else goes on without it: only its slot, its cache and its blocks are lost', async () => {
  await ended('exit');
  const free = heap.stats().free;
  await prove(false);
  heap.verify();
  expect(heap.stats().free).toBe(free);
  expect(heap.threads()).toMatchObject([{}, { ownedBlocks: 20 }]);
  heap.free(heap.alloc(100_000));
});

test('whoever knows that it has ended may reap it', async () => {
  const { threadId } = await ended('exit');
  await prove(false);
  expect(heap.reap(threadId, { reclaim: true }).owned).toHaveLength(20);
  expect(heap.threads()).toHaveLength(1);
  heap.verify();
});

test('one that has left the heap before its end is not lost', async () => {
  const { reports, failures } = await ended('well');
  await prove(false);
  expect([reports, failures]).toEqual([[], []]);
  scene.expectSound();
});

test('who watches no more leaves it as it is', async () => {
  const { stop, failures, reports, threadId } = await ended('exit');
  stop();
  await prove(false);
  expect([reports, failures]).toEqual([[], []]);
  heap.reap(threadId);
  scene.expectSound();
});
