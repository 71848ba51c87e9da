/**
 * Map: counting 100,000 keys, and looking them up.
 *
 *     heap     a SharedMap that all threads work on
 *     plain    a Map of one thread's own
 *
 *     count    add 1 to a random key, with strings of 6 to 14 characters. With `cut`, each is cut out of a
 *              text, as who counts words does; else the same 100,000 string objects come again and again,
 *              whose hash the engine remembers, and which a plain Map compares by their addresses
 *     look-up  get a random key, with integers
 */

import { type Heap, MiB, SharedMap, string, u32 } from '../../src/index.ts';
import { checkSite, clock, makeCommon, type Part, runCrew, secondsOf, total } from '../crew.ts';
import { type Job, type Numbers, option } from '../job.ts';
import { createSite } from '../subject-table.ts';
import { Random } from './random.ts';
import { nanoseconds } from './timed.ts';

const KEYS = 100_000;
const TURN = 1000;
/** Words of the text that keys are cut from: a power of 2. */
const TEXT_WORDS = 2 ** 18;
const ROOT = 'map';

/** Ids of the kind that programs make: letters, a number, sometimes more. */
function makeKeys(): string[] {
  const random = new Random(4141);
  return Array.from({ length: KEYS }, (_, i) => `k${i}-${'abcdefgh'.slice(0, random.below(9))}`);
}

/** An order in which to take the keys: `count` indexes. */
function makeOrder(seed: number, count: number): Uint32Array {
  const random = new Random(seed);
  return Uint32Array.from({ length: count }, () => random.below(KEYS));
}

/** Gives the key of an addition, by its number. */
type KeyAt = (addition: number) => string;

function makeKeyAt(job: Job, keys: readonly string[], member: number): KeyAt {
  if (option(job, 'cut', 0) === 0) {
    const order = makeOrder(member, option(job, 'count', 1_000_000));
    return (addition) => keys[order[addition]!]!;
  }
  const words = Array.from(makeOrder(member, TEXT_WORDS), (key) => keys[key]!);
  let end = 0;
  const starts = Uint32Array.from([0, ...words.map((word) => (end += word.length + 1))]);
  // One flat string: what was joined is a tree of its parts until somebody reads it.
  const text = new TextDecoder('latin1').decode(new TextEncoder().encode(words.join(' ')));
  return (addition) => {
    const word = addition & (TEXT_WORDS - 1);
    return text.slice(starts[word]!, starts[word + 1]! - 1);
  };
}

/** `rate`: additions a second, of all threads. */
export async function measureCount(job: Job): Promise<Numbers> {
  const threads = job.threads ?? 1;
  if (job.subject === 'plain') return { rate: countPlain(job) };
  const site = createSite(job.subject, 128 * MiB);
  const heap = site.heap!;
  const largest = site.largestFree?.();
  const map = SharedMap.create(heap, string, u32);
  heap.roots.set(ROOT, map);
  const all = await runCrew(job, 'count', threads, site, makeCommon(threads, 0, 0));
  let sum = 0;
  for (const value of map.values()) sum += value;
  // Each member counts every key once, then the whole of its order.
  const expected = total(all, 'adds') + threads * KEYS;
  if (sum !== expected) throw new Error(`wrong sum: ${sum}, not ${expected}`);
  map.destroy();
  heap.roots.delete(ROOT);
  checkSite(site, largest);
  return { rate: total(all, 'adds') / secondsOf(all) };
}

/** A thread's part. */
export function countPart({ site, board, member, job }: Part): Numbers {
  const map = site!.heap!.roots.open(ROOT, SharedMap.type(string, u32))!;
  const keys = makeKeys();
  const adds = option(job, 'count', 1_000_000);
  const keyAt = makeKeyAt(job, keys, member);
  for (const key of keys) map.add(key, 1);
  board.meet();
  const began = clock();
  for (let i = 0; i < adds; i++) map.add(keyAt(i), 1);
  return { began, ended: clock(), adds };
}

function countPlain(job: Job): number {
  const map = new Map<string, number>();
  const keys = makeKeys();
  const adds = option(job, 'count', 1_000_000);
  const keyAt = makeKeyAt(job, keys, 1);
  const count = (key: string): void => {
    map.set(key, (map.get(key) ?? 0) + 1);
  };
  for (const key of keys) count(key);
  const began = clock();
  for (let i = 0; i < adds; i++) count(keyAt(i));
  const seconds = (clock() - began) / 1000;
  let sum = 0;
  for (const value of map.values()) sum += value;
  if (sum !== adds + KEYS) throw new Error(`wrong sum: ${sum}`);
  return adds / seconds;
}

/** `ns` of a look-up. */
export function measureLookUp(job: Job): Numbers {
  const order = makeOrder(1, 1 << 16);
  const map =
    job.subject === 'plain' ? new Map<number, number>() : sharedMap(createSite(job.subject, 64 * MiB).heap!);
  for (let i = 0; i < KEYS; i++) map.set(i * 7, i);
  let at = 0;
  const ns = nanoseconds(job, TURN, () => {
    for (let i = 0; i < TURN; i++) {
      const key = order[at++ & 0xffff]!;
      if (map.get(key * 7) !== key) throw new Error('wrong value');
    }
  });
  return { ns };
}

function sharedMap(heap: Heap) {
  return SharedMap.create(heap, u32, u32);
}
