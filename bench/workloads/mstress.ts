/**
 * mstress `N 50 25`: 25 rounds of N new threads that allocate, keep, free and exchange blocks at random.
 *
 *     allocations   5,000 · ((thread - 1) % 8 + 1), and half as many more that are kept to the end
 *     words         1 … 16 of 8 bytes (kept: … 64); 1 % × 100, of those 10 % × 1,000, of those 1 % × 10,000
 *     each step     50 % allocate, else keep; 66 % free one; 25 % exchange one through 1,000 atomic slots
 *
 * Every block is filled with its length and a cookie, and all of it is compared when it is freed, mostly
 * by another thread. Between rounds half of the slots are emptied. The clock runs while threads work, not
 * while they start and end.
 *
 * Source: test/test-stress.c of mimalloc.
 */

import { MiB } from '../../src/index.ts';
import { checkSite, clock, makeCommon, type Part, runCrew, secondsOf } from '../crew.ts';
import { type Job, type Numbers, option } from '../job.ts';
import type { Subject } from '../subject.ts';
import { createSite } from '../subject-table.ts';
import { Random } from './random.ts';
import { residentMiB } from './resident.ts';

const TRANSFERS = 1000;
const COOKIE = 0x5bf5_3cb2;
const BYTES = 1024 * MiB;

/** `seconds` of all rounds, and `peakMiB`: memory that was touched. */
export async function measureMstress(job: Job): Promise<Numbers> {
  const threads = job.threads ?? 1;
  const rounds = option(job, 'rounds', 25);
  const site = createSite(job.subject, BYTES);
  const largest = site.largestFree?.();
  const common = makeCommon(threads, TRANSFERS, 0);
  const main = new Stress(site.subject, new Uint32Array(site.buffer), new Random(7));
  let seconds = 0;
  for (let round = 0; round < rounds; round++) {
    seconds += secondsOf(await runCrew(job, 'mstress', threads, site, common, round));
    for (let slot = 0; slot < TRANSFERS; slot++) {
      if (round + 1 === rounds || main.chance(50)) main.freeItems(common.board.exchange(slot, 0) >>> 0);
    }
  }
  const peakMiB = residentMiB(site.buffer.byteLength);
  checkSite(site, largest);
  return { seconds, ...(peakMiB === undefined ? {} : { peakMiB }) };
}

/** A thread's part of one round. */
export function mstressPart({ site, board, member, job, round }: Part): Numbers {
  const { subject, buffer } = site!;
  const stress = new Stress(subject, new Uint32Array(buffer), new Random(member * 43 + round * 7919));
  board.meet();
  const began = clock();
  stress.run(option(job, 'scale', 50) * 100 * (((member - 1) % 8) + 1), board);
  return { began, ended: clock() };
}

/** One thread's blocks. */
class Stress {
  readonly #subject: Subject;
  readonly #words: Uint32Array;
  readonly #random: Random;

  constructor(subject: Subject, words: Uint32Array, random: Random) {
    this.#subject = subject;
    this.#words = words;
    this.#random = random;
  }

  run(allocations: number, board: Part['board']): void {
    let left = allocations;
    let keep = allocations >>> 1;
    const data = new Uint32Array(allocations);
    const kept = new Uint32Array(keep);
    let top = 0;
    let keptTop = 0;
    while (left > 0 || keep > 0) {
      if (keep === 0 || (left > 0 && this.chance(50))) {
        left--;
        data[top++] = this.#allocItems(1 << this.#random.below(5));
      } else {
        keep--;
        kept[keptTop++] = this.#allocItems(1 << this.#random.below(7));
      }
      if (top > 0 && this.chance(66)) {
        const index = this.#random.below(top);
        this.freeItems(data[index]!);
        data[index] = 0;
      }
      if (top > 0 && this.chance(25)) {
        const index = this.#random.below(top);
        data[index] = board.exchange(this.#random.below(TRANSFERS), data[index]!);
      }
    }
    for (let i = 0; i < keptTop; i++) this.freeItems(kept[i]!);
    for (let i = 0; i < top; i++) this.freeItems(data[i]!);
  }

  /** True in so many of 100 cases. */
  chance(percent: number): boolean {
    return this.#random.below(100) < percent;
  }

  /** Compares a block and frees it; 0 is none. */
  freeItems(address: number): void {
    if (address === 0) return;
    const words = this.#words;
    const first = address >>> 2;
    const count = words[first]! ^ COOKIE;
    for (let i = 1; i < count; i++) {
      if ((words[first + i]! ^ COOKIE) !== count - i)
        throw new Error(`wrong contents at ${address}, word ${i} of ${count}`);
    }
    words[first] = 0;
    this.#subject.free(address);
  }

  #allocItems(small: number): number {
    let items = small;
    if (this.chance(1)) items *= this.chance(10) ? (this.chance(1) ? 10_000 : 1000) : 100;
    const address = this.#subject.alloc(items * 8);
    if (address === 0) throw new Error('no room');
    const words = this.#words;
    const first = address >>> 2;
    const count = items * 2;
    for (let i = 0; i < count; i++) words[first + i] = (count - i) ^ COOKIE;
    return address;
  }
}
