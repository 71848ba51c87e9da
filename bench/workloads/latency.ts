/**
 * Latency: Larson's operations (see `larson.ts`, one set of 1,000 blocks for each thread and no swaps),
 * with every alloc and every free timed by itself. What the clock itself takes is in every number, for
 * all subjects alike, and reported as `clock`.
 */

import { MiB } from '../../src/index.ts';
import { checkSite, makeCommon, type Part, runCrew } from '../crew.ts';
import { type Job, type Numbers, option } from '../job.ts';
import type { Subject } from '../subject.ts';
import { createSite } from '../subject-table.ts';
import { Random } from './random.ts';

const SLOTS = 1000;
const WARM_UP = 100_000;
const PERCENTILES = { p50: 0.5, p99: 0.99, p999: 0.999, max: 1 } as const;

/** Percentiles in ns: of allocs, of frees, and of both. */
export async function measureLatency(job: Job): Promise<Numbers> {
  const threads = job.threads ?? 1;
  const site = createSite(job.subject, 128 * MiB);
  const largest = site.largestFree?.();
  const operations = option(job, 'operations', 500_000);
  // Each thread's times, in 1/16 ns, which serves up to a quarter of a second.
  const common = makeCommon(threads, 0, threads * operations * 2);
  await runCrew(job, 'latency', threads, site, common);
  checkSite(site, largest);
  const times = new Uint32Array(common.words);
  const halves = [0, 1].map((half) => times.filter((_, index) => (index & 1) === half));
  return {
    ...percentiles('', times),
    ...percentiles('alloc-', halves[0]!),
    ...percentiles('free-', halves[1]!),
    clock: clockCost(),
  };
}

function percentiles(prefix: string, times: Uint32Array): Numbers {
  const sorted = times.slice().sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]! / 16;
  return Object.fromEntries(Object.entries(PERCENTILES).map(([name, share]) => [prefix + name, at(share)]));
}

function clockCost(): number {
  const costs = new Uint32Array(10_000);
  for (let i = 0; i < costs.length; i++) costs[i] = ticks(performance.now(), performance.now());
  return costs.sort()[costs.length >> 1]! / 16;
}

function ticks(from: number, to: number): number {
  return Math.min(0xffff_ffff, (to - from) * 16e6);
}

/** A thread's part. */
export function latencyPart({ site, board, member, job, words }: Part): Numbers {
  const { subject, buffer } = site!;
  const operations = option(job, 'operations', 500_000);
  const times = words.subarray((member - 1) * operations * 2, member * operations * 2);
  const random = new Random(member);
  const slots = new Uint32Array(SLOTS);
  const u8 = new Uint8Array(buffer);
  for (let slot = 0; slot < SLOTS; slot++) slots[slot] = subject.alloc(8 + random.below(992));
  for (let slot = 0; slot < SLOTS; slot++) u8[slots[slot]!] = slot;
  churn(subject, u8, slots, random, new Uint32Array(Math.min(WARM_UP, operations) * 2));
  board.meet();
  churn(subject, u8, slots, random, times);
  board.meet();
  for (const address of slots) subject.free(address);
  return {};
}

function churn(
  subject: Subject,
  u8: Uint8Array,
  slots: Uint32Array,
  random: Random,
  times: Uint32Array,
): void {
  for (let i = 0; i < times.length; i += 2) {
    const slot = random.below(SLOTS);
    const size = 8 + random.below(992);
    const old = slots[slot]!;
    if (u8[old] !== (slot & 255)) throw new Error(`wrong contents at ${old}`);
    const start = performance.now();
    subject.free(old);
    const middle = performance.now();
    const address = subject.alloc(size);
    const end = performance.now();
    if (address === 0) throw new Error('no room');
    u8[address] = slot;
    slots[slot] = address;
    times[i] = ticks(middle, end);
    times[i + 1] = ticks(start, middle);
  }
}
