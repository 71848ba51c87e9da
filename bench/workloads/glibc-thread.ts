/**
 * glibc-thread: N threads, each with 1,024 slots: a random slot's block goes, another comes, of 4 … 32,768
 * bytes with inverse-square weight, and every byte of it is written. The first and the last byte are
 * compared when it goes.
 *
 * Source: benchtests/bench-malloc-thread.c of glibc.
 */

import { MiB } from '../../src/index.ts';
import { checkSite, clock, makeCommon, type Part, runCrew, secondsOf, total } from '../crew.ts';
import { type Job, type Numbers, option } from '../job.ts';
import type { Subject } from '../subject.ts';
import { createSite } from '../subject-table.ts';
import { Random } from './random.ts';

const SLOTS = 1024;
const SMALLEST = 4;
const LARGEST = 32_768;
const SIZES = 16_384;
const BATCH = 256;

/** `rate`: iterations a second. */
export async function measureGlibcThread(job: Job): Promise<Numbers> {
  const threads = job.threads ?? 1;
  const site = job.subject === 'v8' ? undefined : createSite(job.subject, (64 + 4 * threads) * MiB);
  const largest = site?.largestFree?.();
  const all = await runCrew(job, 'glibc-thread', threads, site, makeCommon(threads, 0, 0));
  checkSite(site, largest);
  return { rate: total(all, 'iterations') / secondsOf(all) };
}

/** A thread's part. */
export function slotsPart({ site, board, member, job }: Part): Numbers {
  const random = new Random(member);
  const sizes = Uint32Array.from({ length: SIZES }, () => drawSize(random));
  const turn =
    site === undefined ? objectTurn(sizes, random) : blockTurn(site.subject, site.buffer, sizes, random);
  const warm = performance.now() + Math.min(500, option(job, 'seconds', 2) * 1000);
  for (let i = 0; i < 200 && performance.now() < warm; i++) turn(BATCH);
  board.meet();
  const began = clock();
  const until = performance.now() + option(job, 'seconds', 2) * 1000;
  let iterations = 0;
  for (; performance.now() < until; iterations += BATCH) turn(BATCH);
  const ended = clock();
  board.meet();
  turn(0);
  return { began, ended, iterations };
}

/** Density ∝ 1 / size². */
function drawSize(random: Random): number {
  const share = random.next() / 2 ** 32;
  return Math.floor(1 / (1 / SMALLEST - share * (1 / SMALLEST - 1 / LARGEST)));
}

/** Makes `count` iterations; 0 frees all. */
function blockTurn(
  subject: Subject,
  buffer: SharedArrayBuffer,
  sizes: Uint32Array,
  random: Random,
): (count: number) => void {
  const u8 = new Uint8Array(buffer);
  const slots = new Uint32Array(SLOTS);
  const held = new Uint32Array(SLOTS);
  return (count) => {
    if (count === 0) {
      for (let slot = 0; slot < SLOTS; slot++) if (slots[slot] !== 0) release(subject, u8, slots, held, slot);
    } else churn(subject, u8, slots, held, sizes, random, count);
  };
}

function churn(
  subject: Subject,
  u8: Uint8Array,
  slots: Uint32Array,
  held: Uint32Array,
  sizes: Uint32Array,
  random: Random,
  count: number,
): void {
  for (let i = 0; i < count; i++) {
    const slot = random.below(SLOTS);
    if (slots[slot] !== 0) release(subject, u8, slots, held, slot);
    const size = sizes[random.below(SIZES)]!;
    const address = subject.alloc(size);
    if (address === 0) throw new Error('no room');
    if (size > 64) u8.fill(slot, address, address + size);
    else for (let at = address; at < address + size; at++) u8[at] = slot;
    slots[slot] = address;
    held[slot] = size;
  }
}

function release(
  subject: Subject,
  u8: Uint8Array,
  slots: Uint32Array,
  held: Uint32Array,
  slot: number,
): void {
  const address = slots[slot]!;
  const last = address + held[slot]! - 1;
  if (u8[address] !== (slot & 255) || u8[last] !== (slot & 255))
    throw new Error(`wrong contents at ${address}`);
  subject.free(address);
}

function objectTurn(sizes: Uint32Array, random: Random): (count: number) => void {
  const slots: Uint8Array[] = new Array(SLOTS);
  return (count) => {
    for (let i = 0; i < count; i++) {
      const slot = random.below(SLOTS);
      slots[slot] = new Uint8Array(sizes[random.below(SIZES)]!).fill(slot);
    }
  };
}
