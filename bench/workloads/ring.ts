/**
 * Ring: N threads on one heap, each with 64 live blocks of 24 … 87 bytes: the oldest goes, a new one comes
 * and gets two words, which are compared when it goes. V8's own objects are `{ x, y }`, for each thread
 * its own.
 */

import { MiB } from '../../src/index.ts';
import { checkSite, clock, makeCommon, type Part, runCrew, secondsOf, total } from '../crew.ts';
import { type Job, type Numbers, option } from '../job.ts';
import type { Subject } from '../subject.ts';
import { createSite } from '../subject-table.ts';
import { Random } from './random.ts';

const RING = 64;
const BATCH = 1000;

/** `rate`: pairs a second. */
export async function measureRing(job: Job): Promise<Numbers> {
  const threads = job.threads ?? 1;
  const site = job.subject === 'v8' ? undefined : createSite(job.subject, 64 * MiB);
  const largest = site?.largestFree?.();
  const all = await runCrew(job, 'ring', threads, site, makeCommon(threads, 0, 0));
  checkSite(site, largest);
  return { rate: total(all, 'pairs') / secondsOf(all) };
}

/** A thread's part. */
export function ringPart({ site, board, member, job }: Part): Numbers {
  const random = new Random(member);
  const sizes = Uint32Array.from({ length: 1024 }, () => 24 + random.below(64));
  const turn =
    site === undefined ? objectTurn() : blockTurn(site.subject, new Uint32Array(site.buffer), sizes, member);
  const seconds = option(job, 'seconds', 1);
  const warm = performance.now() + Math.min(500, seconds * 1000);
  for (let i = 0; i < 200 && performance.now() < warm; i++) turn(BATCH);
  board.meet();
  const began = clock();
  const until = performance.now() + seconds * 1000;
  let pairs = 0;
  for (; performance.now() < until; pairs += BATCH) turn(BATCH);
  const ended = clock();
  // All of them go.
  board.meet();
  turn(0);
  return { began, ended, pairs };
}

/** Makes `count` pairs; 0 frees the ring. */
function blockTurn(
  subject: Subject,
  u32: Uint32Array,
  sizes: Uint32Array,
  member: number,
): (count: number) => void {
  const ring = new Uint32Array(RING);
  return (count) => {
    if (count === 0)
      for (const [place, address] of ring.entries()) release(subject, u32, address, place, member);
    else pairs(subject, u32, sizes, ring, member, count);
  };
}

function pairs(
  subject: Subject,
  u32: Uint32Array,
  sizes: Uint32Array,
  ring: Uint32Array,
  member: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const place = i & (RING - 1);
    const old = ring[place]!;
    if (old !== 0) release(subject, u32, old, place, member);
    const address = subject.alloc(sizes[i & 1023]!);
    if (address === 0) throw new Error('no room');
    u32[address >>> 2] = member;
    u32[(address + 4) >>> 2] = place;
    ring[place] = address;
  }
}

function release(subject: Subject, u32: Uint32Array, address: number, place: number, member: number): void {
  if (u32[address >>> 2] !== member || u32[(address + 4) >>> 2] !== place)
    throw new Error(`wrong contents at ${address}`);
  subject.free(address);
}

function objectTurn(): (count: number) => void {
  const ring = Array.from({ length: RING }, (_, i) => ({ x: i, y: i }));
  return (count) => {
    for (let i = 0; i < count; i++) {
      const place = i & (RING - 1);
      if (ring[place]!.y !== place) throw new Error('wrong contents');
      ring[place] = { x: i, y: place };
    }
  };
}
