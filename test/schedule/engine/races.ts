/**
 * Races: finds plain accesses to the same bytes, one of them a store, that no atomic operation orders. Schedules
 * are interleavings of single accesses; what a processor or a compiler could move they do not show. This does.
 *
 *     clocks[t][u]     how far of thread u thread t has seen
 *     release of w     words[w] = clocks[t]; clocks[t][t] + 1      atomic store
 *     acquire of w     clocks[t] = max(clocks[t], words[w])        atomic load
 *     plain access     must lie behind the last plain store of each other thread to these bytes, a store also
 *                      behind their last loads: its clock at that thread ≥ the clock noted then
 *
 * The shadow of memory has one entry for each thread and word of 4 bytes, with a mask of the bytes.
 *
 * Source: C. Flanagan and S. Freund, "FastTrack: efficient and precise dynamic race detection", 2009.
 */

/** Most threads of a schedule, the one that sets up and a sleeper that was aborted included. */
export const THREADS = 6;

/** Whether accesses are looked at: it costs about as much as the schedule. */
export let enabled = false;

let stamp = 0;
let words = 0;
let stamps = new Int32Array(0);
// For each word and thread: clock, site and byte mask of the last store and load; the clock that a word gives on.
let storeClock = new Int32Array(0);
let storeSite = new Int32Array(0);
let storeMask = new Uint8Array(0);
let loadClock = new Int32Array(0);
let loadSite = new Int32Array(0);
let loadMask = new Uint8Array(0);
let given = new Int32Array(0);
const clocks = new Int32Array(THREADS * THREADS);

/** Two accesses that race, by their sites; the earlier one first. */
export type Report = (first: number, second: number, address: number) => void;
let report: Report = () => {};

/** Begins a schedule over a buffer of so many bytes, or switches off. */
export function begin(bytes: number, to: Report | undefined): void {
  enabled = to !== undefined;
  if (to === undefined) return;
  report = to;
  stamp++;
  clocks.fill(0);
  for (let thread = 0; thread < THREADS; thread++) clocks[thread * THREADS + thread] = 1;
  if (bytes >>> 2 <= words) return;
  words = bytes >>> 2;
  stamps = new Int32Array(words);
  [storeClock, storeSite, loadClock, loadSite, given] = Array.from(
    { length: 5 },
    () => new Int32Array(words * THREADS),
  ) as [
    Int32Array<ArrayBuffer>,
    Int32Array<ArrayBuffer>,
    Int32Array<ArrayBuffer>,
    Int32Array<ArrayBuffer>,
    Int32Array<ArrayBuffer>,
  ];
  storeMask = new Uint8Array(words * THREADS);
  loadMask = new Uint8Array(words * THREADS);
}

/** Index of a word's entries, emptied when they are of another schedule. */
function entryOf(word: number): number {
  const base = word * THREADS;
  if (stamps[word] !== stamp) {
    stamps[word] = stamp;
    const end = base + THREADS;
    storeClock.fill(0, base, end);
    loadClock.fill(0, base, end);
    given.fill(0, base, end);
  }
  return base;
}

/** A plain access of `size` bytes at `address`. */
export function plain(thread: number, isStore: boolean, address: number, size: number, site: number): void {
  const end = address + size;
  for (let word = address >>> 2; word * 4 < end; word++) {
    const from = Math.max(address - word * 4, 0);
    const to = Math.min(end - word * 4, 4);
    access(thread, isStore, word, ((1 << to) - 1) & ~((1 << from) - 1), site);
  }
}

function access(thread: number, isStore: boolean, word: number, mask: number, site: number): void {
  const base = entryOf(word);
  for (let other = 1; other < THREADS; other++) {
    if (other === thread) continue;
    const seen = clocks[thread * THREADS + other]!;
    const at = base + other;
    if (storeClock[at]! > seen && (storeMask[at]! & mask) !== 0) report(storeSite[at]!, site, word * 4);
    if (isStore && loadClock[at]! > seen && (loadMask[at]! & mask) !== 0)
      report(loadSite[at]!, site, word * 4);
  }
  const clock = clocks[thread * THREADS + thread]!;
  const at = base + thread;
  if (isStore) {
    storeMask[at] = storeClock[at] === clock ? storeMask[at]! | mask : mask;
    storeClock[at] = clock;
    storeSite[at] = site;
  } else {
    loadMask[at] = loadClock[at] === clock ? loadMask[at]! | mask : mask;
    loadClock[at] = clock;
    loadSite[at] = site;
  }
}

/** An atomic operation read the word at `address`. */
export function acquire(thread: number, address: number): void {
  const base = entryOf(address >>> 2);
  const mine = thread * THREADS;
  for (let other = 0; other < THREADS; other++) {
    if (given[base + other]! > clocks[mine + other]!) clocks[mine + other] = given[base + other]!;
  }
}

/** An atomic operation wrote the word at `address`. */
export function release(thread: number, address: number): void {
  const base = entryOf(address >>> 2);
  const mine = thread * THREADS;
  for (let other = 0; other < THREADS; other++) given[base + other] = clocks[mine + other]!;
  clocks[mine + thread]! += 1;
}

/** A thread woke another one. */
export function wakes(thread: number, woken: number): void {
  for (let other = 0; other < THREADS; other++) {
    const clock = clocks[thread * THREADS + other]!;
    if (clock > clocks[woken * THREADS + other]!) clocks[woken * THREADS + other] = clock;
  }
  if (thread !== 0) clocks[thread * THREADS + thread]! += 1;
}
