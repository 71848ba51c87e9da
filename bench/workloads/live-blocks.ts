/**
 * Live-blocks: what a pair costs while so many blocks are live. One goes, another of 24 … 87 bytes comes
 * and gets a word, which is compared when it goes. In one thread.
 *
 *     order 0   a random one goes
 *     order 1   the oldest goes
 *     order 2   nothing comes or goes: a random one is read and written, which is what the memory takes
 */

import { MiB } from '../../src/index.ts';
import { type Job, type Numbers, option } from '../job.ts';
import type { Subject } from '../subject.ts';
import { createSite } from '../subject-table.ts';
import { Random } from './random.ts';

/** How long it may take to come to so many live blocks. */
const PATIENCE_MS = 20_000;
const BYTES_EACH = 192;

const RANDOM = 0;
const OLDEST = 1;
const TOUCH = 2;

/** `ns` of a pair. */
export function measureLiveBlocks(job: Job): Numbers {
  const live = option(job, 'live', 1000);
  const ms = option(job, 'ms', 300);
  const random = new Random(4141);
  const order = option(job, 'order', RANDOM);
  if (job.subject === 'v8') return { ns: timePairs(objectTurn(live, order, random), ms) };
  const { subject, buffer, verify } = createSite(
    job.subject,
    Math.ceil((live * BYTES_EACH) / MiB) * MiB + 32 * MiB,
  );
  const u32 = new Uint32Array(buffer);
  const slots = new Uint32Array(live);
  const deadline = performance.now() + PATIENCE_MS;
  for (let slot = 0; slot < live; slot++) {
    slots[slot] = place(subject, u32, slot, random);
    if (slot % 1024 === 0 && performance.now() > deadline)
      throw new Error(`not ${live} live blocks in ${PATIENCE_MS} ms`);
  }
  const turn = order === RANDOM ? churn : order === OLDEST ? rotate : touch;
  const ns = timePairs((count) => turn(subject, u32, slots, random, count), ms);
  verify?.();
  return { ns };
}

/** The middle of batches whose length suits their cost. */
function timePairs(turn: (count: number) => void, ms: number): number {
  let count = 16;
  const began = performance.now();
  for (let took = 0; took < 2 && performance.now() - began < ms; count *= 2) {
    const start = performance.now();
    turn(count);
    took = performance.now() - start;
  }
  const costs: number[] = [];
  const until = performance.now() + 2 * ms;
  do {
    const start = performance.now();
    turn(count);
    costs.push(((performance.now() - start) * 1e6) / count);
  } while (performance.now() < until);
  // The first third warms up.
  const steady = costs.slice(Math.floor(costs.length / 3)).sort((a, b) => a - b);
  return steady[steady.length >> 1]!;
}

function churn(subject: Subject, u32: Uint32Array, slots: Uint32Array, random: Random, count: number): void {
  for (let i = 0; i < count; i++) {
    const slot = random.below(slots.length);
    const old = slots[slot]!;
    if (u32[old >>> 2] !== slot) throw new Error(`wrong contents at ${old}`);
    subject.free(old);
    slots[slot] = place(subject, u32, slot, random);
  }
}

let next = 0;

/** From the first slot on, around and around. */
function rotate(subject: Subject, u32: Uint32Array, slots: Uint32Array, random: Random, count: number): void {
  for (let i = 0; i < count; i++) {
    const slot = next;
    next = slot + 1 === slots.length ? 0 : slot + 1;
    const old = slots[slot]!;
    if (u32[old >>> 2] !== slot) throw new Error(`wrong contents at ${old}`);
    subject.free(old);
    slots[slot] = place(subject, u32, slot, random);
  }
}

function touch(_subject: Subject, u32: Uint32Array, slots: Uint32Array, random: Random, count: number): void {
  for (let i = 0; i < count; i++) {
    const slot = random.below(slots.length);
    const address = slots[slot]!;
    if (u32[address >>> 2] !== slot) throw new Error(`wrong contents at ${address}`);
    u32[(address + 4) >>> 2] = i;
  }
}

function place(subject: Subject, u32: Uint32Array, slot: number, random: Random): number {
  const address = subject.alloc(24 + random.below(64));
  if (address === 0) throw new Error('no room');
  u32[address >>> 2] = slot;
  return address;
}

function objectTurn(live: number, order: number, random: Random): (count: number) => void {
  const objects = Array.from({ length: live }, (_, slot) => ({ x: slot, y: slot }));
  return (count) => {
    for (let i = 0; i < count; i++) {
      let slot = random.below(live);
      if (order === OLDEST) {
        slot = next;
        next = slot + 1 === live ? 0 : slot + 1;
      }
      if (objects[slot]!.x !== slot) throw new Error('wrong contents');
      if (order === TOUCH) objects[slot]!.y = i;
      else objects[slot] = { x: slot, y: i };
    }
  };
}
