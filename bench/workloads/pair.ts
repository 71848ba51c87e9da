/**
 * Pair: what one block costs from birth to death, in one thread.
 *
 *     pair    free(alloc(24 … 87)), again and again
 *     kept    a ring of 64 live blocks: the oldest goes, a new one comes and gets two fields
 *     lock    one lock and one unlock, with nothing between them
 *
 * V8's own objects are `{ x, y }` that escape into a ring of 64, in both. What its collector takes is part
 * of their cost.
 */

import { GiB, type Lock, Memory, MiB, ParkLock, SpinLock, toAddress } from '../../src/index.ts';
import { type Job, type Numbers, option } from '../job.ts';
import type { Site, Subject } from '../subject.ts';
import { createSite } from '../subject-table.ts';
import { nanoseconds } from './timed.ts';

const TURN = 1000;
/** Long enough for collections to be part of every turn. */
const OBJECT_TURN = 500_000;
const RING = 64;
const HEAP_BYTES = 64 * MiB;

interface Point {
  x: number;
  y: number;
}

/** 1,024 sizes from 24 to 87, at random but the same in every run. */
const SIZES = new Uint32Array(1024);
for (let i = 0, state = 4141; i < SIZES.length; i++) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  SIZES[i] = 24 + (state >>> 26);
}

/** ns of a pair on any subject; options `heaps`: how many are alive, `above`: the least address. */
export function measurePair(job: Job): Numbers {
  if (job.subject === 'v8') return { ns: measureObjects(job) };
  if (job.subject === 'v8-doubles') return { ns: measureFractions(job) };
  const sites = Array.from({ length: option(job, 'heaps', 1) }, () => createSite(job.subject, bytesFor(job)));
  for (const site of sites) fillBelow(job, site);
  // Every heap is used, the one that is measured last.
  for (const { subject } of sites) for (let turn = 0; turn < 200; turn++) pairs(subject, TURN);
  const { subject } = sites.at(-1)!;
  const ns = nanoseconds(job, TURN, () => pairs(subject, TURN));
  for (const site of sites) site.verify?.();
  return { ns };
}

/** ns of a pair whose block lives on for 64 pairs, its two fields written. */
export function measureKept(job: Job): Numbers {
  if (job.subject === 'v8') return { ns: measureObjects(job) };
  if (job.subject === 'v8-doubles') return { ns: measureFractions(job) };
  const { subject, buffer, verify } = createSite(job.subject, bytesFor(job));
  const f64 = new Float64Array(buffer);
  const ring = Array.from({ length: RING }, (_, i) => subject.alloc(SIZES[i]!));
  const ns = nanoseconds(job, TURN, () => keptPairs(subject, f64, ring, TURN));
  verify?.();
  return { ns };
}

/** ns of a lock and an unlock. */
export function measureLock(job: Job): Numbers {
  const memory = Memory.create(4096);
  const lock =
    job.subject === 'spin-lock' ? new SpinLock(memory, toAddress(64)) : new ParkLock(memory, toAddress(64));
  return { ns: nanoseconds(job, TURN, () => lockPairs(lock, TURN)) };
}

function bytesFor(job: Job): number {
  return option(job, 'wide', 0) === 1 ? 4 * GiB : HEAP_BYTES;
}

/** Takes the room below the least address. Nothing is written there but the block's header. */
function fillBelow(job: Job, { subject }: Site): void {
  const above = option(job, 'above', 0);
  if (above === 0) return;
  const filler = subject.alloc(above);
  const probe = subject.alloc(24);
  if (filler === 0 || probe < above) throw new Error(`no blocks above ${above}`);
  subject.free(probe);
}

function pairs(subject: Subject, count: number): void {
  for (let i = 0; i < count; i++) {
    const address = subject.alloc(SIZES[i & 1023]!);
    if (address === 0) throw new Error('no room');
    subject.free(address);
  }
}

function keptPairs(subject: Subject, f64: Float64Array, ring: number[], count: number): void {
  for (let i = 0; i < count; i++) {
    const place = i & (RING - 1);
    subject.free(ring[place]!);
    const address = subject.alloc(SIZES[i & 1023]!);
    if (address === 0) throw new Error('no room');
    f64[address >>> 3] = i;
    f64[(address + 8) >>> 3] = place;
    ring[place] = address;
  }
}

function lockPairs(lock: Lock, count: number): void {
  for (let i = 0; i < count; i++) {
    lock.acquire();
    lock.release();
  }
}

function measureObjects(job: Job): number {
  const ring: Point[] = Array.from({ length: RING }, (_, i) => ({ x: i, y: i }));
  return nanoseconds(job, OBJECT_TURN, () => makeObjects(ring, OBJECT_TURN));
}

function makeObjects(ring: Point[], count: number): void {
  for (let i = 0; i < count; i++) {
    const place = i & (RING - 1);
    ring[place] = { x: i, y: place };
  }
}

function measureFractions(job: Job): number {
  const ring: Point[] = Array.from({ length: RING }, (_, i) => ({ x: i + 0.5, y: i + 0.5 }));
  return nanoseconds(job, OBJECT_TURN, () => makeFractions(ring, OBJECT_TURN));
}

function makeFractions(ring: Point[], count: number): void {
  for (let i = 0; i < count; i++) {
    const place = i & (RING - 1);
    ring[place] = { x: i + 0.5, y: place + 0.5 };
  }
}
