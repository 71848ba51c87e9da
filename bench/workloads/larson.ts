/**
 * Larson `5 8 1000 5000 100 4141 N`: a server whose requests free what others allocated.
 *
 *     each of N threads holds a set of 5,000 blocks; one set more lies between them
 *     operation   free a random block of the set, allocate 8 … 999 bytes, write 2 bytes
 *     after 500,000 operations the thread swaps its set with the spare one: its next frees are remote
 *
 * The two bytes name slot and set; they are compared when the block is freed. V8's own objects are arrays
 * of as many bytes, and stay in their thread.
 *
 * Source: P. Larson and M. Krishnan, "Memory allocation for long-running server applications", 1998.
 */

import { availableParallelism } from 'node:os';
import { MiB } from '../../src/index.ts';
import { checkSite, clock, makeCommon, type Part, runCrew, secondsOf, total } from '../crew.ts';
import { type Job, type Numbers, option } from '../job.ts';
import type { Subject } from '../subject.ts';
import { createSite } from '../subject-table.ts';
import { countLocks } from './lock-count.ts';

export const SLOTS = 5000;
const SMALLEST = 8;
const SIZES = 992;
const SWAP_AFTER = 500_000;
const BATCH = 1000;
const SEED = 4141;
/** The board's slot that holds the spare set's number. */
const SPARE = 0;

/** Runs it; `rate` is operations a second. */
export async function measureLarson(job: Job): Promise<Numbers> {
  const threads = job.threads ?? 1;
  const site = job.subject === 'v8' ? undefined : createSite(job.subject, (128 + 8 * threads) * MiB);
  const largest = site?.largestFree?.();
  const common = makeCommon(threads, 1, (threads + 1) * SLOTS);
  const all = await runCrew(job, 'larson', threads, site, common);
  checkSite(site, largest);
  const operations = total(all, 'operations');
  return {
    rate: operations / secondsOf(all),
    operations,
    locks: (total(all, 'locks') * 1000) / operations,
    contended: (total(all, 'contended') * 1000) / operations,
  };
}

/** A thread's part. */
export function larsonPart(part: Part): Numbers {
  if (part.site === undefined) return larsonOfObjects(part);
  const { site, board, member, members, words, job } = part;
  const { subject, buffer } = site;
  const u8 = new Uint8Array(buffer);
  const state = new Int32Array([SEED * 7919 + member * 104_729]);
  const sets = Array.from({ length: members + 1 }, (_, set) =>
    words.subarray(set * SLOTS, (set + 1) * SLOTS),
  );
  fill(subject, u8, sets[member]!, member, state);
  if (member === 1) fill(subject, u8, sets[0]!, 0, state);
  warmUp(part, (count) => churn(subject, u8, sets[member]!, member, state, count));
  board.meet();
  const locks = option(job, 'count', 0) === 1 ? countLocks() : undefined;
  const began = clock();
  const { set, operations } = work(part, (held, count) =>
    churn(subject, u8, sets[held]!, held, state, count),
  );
  const ended = clock();
  board.meet();
  const counted = { ...locks };
  freeAll(subject, u8, sets[set]!, set);
  board.meet();
  const spare = board.load(SPARE);
  if (member === 1) freeAll(subject, u8, sets[spare]!, spare);
  return { began, ended, operations, locks: counted.acquisitions ?? 0, contended: counted.contended ?? 0 };
}

/** For the engine to compile what runs often: 200,000 operations, or what half a second of a core allows. */
function warmUp({ job, members }: Part, turn: (count: number) => void): void {
  const ms = Math.min(500, option(job, 'seconds', 5) * 1000);
  const until = performance.now() + ms * Math.max(1, members / availableParallelism());
  for (let done = 0; done < 200_000 && performance.now() < until; done += BATCH) turn(BATCH);
}

/** Operations until the time is up, or so many; swaps the set at times. */
function work(
  { board, member, job }: Part,
  turn: (set: number, count: number) => void,
): { set: number; operations: number } {
  const limit = option(job, 'operations', Number.POSITIVE_INFINITY);
  const until = performance.now() + option(job, 'seconds', 5) * 1000;
  let set = member;
  let operations = 0;
  while (operations < limit && (limit !== Number.POSITIVE_INFINITY || performance.now() < until)) {
    turn(set, BATCH);
    operations += BATCH;
    if (operations % SWAP_AFTER === 0) set = board.exchange(SPARE, set);
  }
  return { set, operations };
}

function churn(
  subject: Subject,
  u8: Uint8Array,
  slots: Uint32Array,
  set: number,
  state: Int32Array,
  count: number,
): void {
  let random = state[0]!;
  for (let i = 0; i < count; i++) {
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    const slot = Math.imul(random >>> 16, SLOTS) >>> 16;
    const old = slots[slot]!;
    if (u8[old] !== (slot & 255) || u8[old + 1] !== ((slot >>> 8) ^ set))
      throw new Error(`wrong contents at ${old}`);
    subject.free(old);
    const address = subject.alloc(SMALLEST + (Math.imul(random & 0xffff, SIZES) >>> 16));
    if (address === 0) throw new Error('no room');
    u8[address] = slot;
    u8[address + 1] = (slot >>> 8) ^ set;
    slots[slot] = address;
  }
  state[0] = random;
}

function fill(subject: Subject, u8: Uint8Array, slots: Uint32Array, set: number, state: Int32Array): void {
  for (let slot = 0; slot < SLOTS; slot++) {
    state[0] = Math.imul(state[0]!, 1103515245) + 12345;
    const address = subject.alloc(SMALLEST + (Math.imul(state[0]! >>> 16, SIZES) >>> 16));
    if (address === 0) throw new Error('no room');
    u8[address] = slot;
    u8[address + 1] = (slot >>> 8) ^ set;
    slots[slot] = address;
  }
}

function freeAll(subject: Subject, u8: Uint8Array, slots: Uint32Array, set: number): void {
  for (let slot = 0; slot < SLOTS; slot++) {
    const address = slots[slot]!;
    if (u8[address] !== (slot & 255) || u8[address + 1] !== ((slot >>> 8) ^ set))
      throw new Error(`wrong contents at ${address}`);
    subject.free(address);
  }
}

function larsonOfObjects(part: Part): Numbers {
  const { board, member } = part;
  const state = new Int32Array([SEED * 7919 + member * 104_729]);
  const objects = Array.from({ length: SLOTS }, (_, slot) => [slot]);
  warmUp(part, (count) => churnObjects(objects, state, count));
  board.meet();
  const began = clock();
  const { operations } = work(part, (_, count) => churnObjects(objects, state, count));
  return { began, ended: clock(), operations };
}

function churnObjects(objects: number[][], state: Int32Array, count: number): void {
  let random = state[0]!;
  for (let i = 0; i < count; i++) {
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    const slot = Math.imul(random >>> 16, SLOTS) >>> 16;
    if (objects[slot]![0] !== slot) throw new Error('wrong contents');
    const object = new Array<number>((SMALLEST + (Math.imul(random & 0xffff, SIZES) >>> 16)) >>> 3);
    object[0] = slot;
    objects[slot] = object;
  }
  state[0] = random;
}
