/**
 * Recovery: how long `heap.reap()` takes for a thread that was terminated with the allocator's lock in its
 * hands, and owned all live blocks of a heap of 64 MiB: one walk to rebuild the allocator, one to make the
 * blocks nobody's. Whether it died with the lock is chance, and seen by the count of contended acquisitions:
 * nobody else is there. Other deaths are not counted.
 */

import { Worker } from 'node:worker_threads';
import { type Heap, MiB } from '../../src/index.ts';
import { type Job, type Numbers, option } from '../job.ts';
import { createSite } from '../subject-table.ts';

const VICTIM = new URL('../../workers/bench/victim.js', import.meta.url);
const BYTES = 64 * MiB;
/** Deaths at most for one that counts. */
const TRIES = 50;

/** `first`: ms of the first reap, whose code is cold; `ms`: the middle of all. */
export async function measureRecovery(job: Job): Promise<Numbers> {
  const live = option(job, 'live', 100_000);
  const deaths = option(job, 'deaths', 5);
  const mostBytes = option(job, 'most', 984);
  const { heap } = createSite(job.subject, BYTES);
  if (heap === undefined) throw new TypeError(`${job.subject} is no heap`);
  const times: number[] = [];
  for (let tries = 0; times.length < deaths && tries < deaths * TRIES; tries++) {
    const { ms, withLock } = await die(heap, live, mostBytes);
    if (withLock) times.push(ms);
  }
  if (times.length < deaths)
    throw new Error(`only ${times.length} threads died with the lock in their hands`);
  const [first] = times;
  return { first: first!, ms: times.sort((a, b) => a - b)[times.length >> 1]! };
}

/** A thread fills the heap, dies and is reaped. */
async function die(heap: Heap, live: number, mostBytes: number): Promise<{ ms: number; withLock: boolean }> {
  const { lockContended } = heap.stats();
  const worker = new Worker(VICTIM, { workerData: { handle: heap.handle, live, mostBytes } });
  const { threadId } = worker;
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  await worker.terminate();
  await ended;
  const began = performance.now();
  const { owned } = heap.reap(threadId);
  const ms = performance.now() - began;
  heap.verify();
  if (owned.length < live) throw new Error(`${owned.length} live blocks were found, of ${live}`);
  for (const address of owned) heap.free(address);
  heap.flush();
  return { ms, withLock: heap.stats().lockContended! > lockContended! };
}
