/**
 * Map user: one of several threads on the same SharedMap. Reports what it saw that cannot be.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { f64, Heap, type HeapHandle, type MapHandle, SharedMap, struct } from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

export interface MapUserJob {
  readonly heap: HeapHandle;
  readonly map: MapHandle;
  readonly meeting: SharedArrayBuffer;
  readonly parties: number;
  /** Which of the parties this is. */
  readonly party: number;
  readonly act: keyof typeof ACTS;
  readonly rounds: number;
}

export interface MapUserReport {
  readonly faults: readonly string[];
  readonly count: number;
}

const Wide = struct('WideValue', { a: f64, b: f64, c: f64, d: f64, e: f64, f: f64, g: f64, h: f64 });
const job = workerData as MapUserJob;
const heap = Heap.attach(job.heap);
const faults: string[] = [];
let count = 0;
let state = job.party + 1;

/** An integer from 0 to limit - 1. */
function random(limit: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}

function check(ok: boolean, fault: () => string): void {
  if (!ok && faults.length < 10) faults.push(fault());
}

/** The eight numbers of a value agree, or some of them were written by another set(). */
function checkWide(value: object | undefined, key: unknown): void {
  if (value === undefined) return;
  count++;
  const numbers = Object.values(value) as number[];
  check(
    numbers.every((n) => n === numbers[0]),
    () => `torn at ${key}: ${numbers}`,
  );
}

const wide = (n: number) => ({ a: n, b: n, c: n, d: n, e: n, f: n, g: n, h: n });

const ACTS = {
  /** Adds 1 to keys that all threads share. */
  add() {
    const map = SharedMap.open(heap, job.map);
    const isText = typeof [...map.keys()][0] === 'string';
    for (let round = 0; round < job.rounds; round++) {
      const n = random(1000);
      map.add((isText ? `key ${n}` : n) as never, 1 as never);
    }
  },

  /** Inserts and deletes keys of its own; nobody else's are touched. */
  disjoint() {
    const map = SharedMap.open(heap, job.map);
    for (let round = 0; round < job.rounds; round++) {
      const key = `a key of party ${job.party}: ${round}` as never;
      map.set(key, round as never);
      check(map.get(key) === (round as never), () => `${key} was lost`);
      if (round % 3 !== 0) check(map.delete(key), () => `${key} could not be deleted`);
      else count++;
    }
  },

  /** Writes, deletes, clears and reads wide values under the same keys: none is ever torn. */
  wide() {
    const map = SharedMap.open(heap, job.map);
    const into = heap.new(Wide);
    for (let round = 0; round < job.rounds; round++) {
      const key = random(64) as never;
      const act = random(job.party % 2 === 0 ? 12 : 4);
      if (act === 0) checkWide(map.get(key), key);
      else if (act === 1) checkWide(map.get(key, into)?.toJSON(), key);
      else if (act === 2) checkWide(map.take(key), key);
      else if (act === 3 && round % 64 === 0) for (const [k, value] of map) checkWide(value as object, k);
      else if (act === 4) map.delete(key);
      else if (act === 5 && round % 256 === 0) map.clear();
      else if (act === 6)
        map.update(key, (value) => wide((value as { a: number }).a + 1) as never, wide(0) as never);
      else if (act === 7)
        map.with(key, (view) => (view as unknown as { set(v: object): void }).set(wide(round)));
      else map.set(key, wide(round * 8 + job.party) as never);
    }
    heap.delete(into);
  },

  /** Inserts ever more keys while all read those of all: tables grow under the readers. */
  grow() {
    const map = SharedMap.open(heap, job.map);
    for (let round = 0; round < job.rounds; round++) {
      map.set((round * job.parties + job.party) as never, round as never);
      for (let reads = 0; reads < 4; reads++) {
        const seen = random(round + 1);
        const value = map.get((seen * job.parties + job.party) as never);
        check(value === (seen as never), () => `${seen} reads as ${value}`);
        const other = map.get(random(job.rounds * job.parties) as never) as number | undefined;
        check(other === undefined || other < job.rounds, () => `another reads as ${other}`);
      }
    }
  },

  /** Of all threads that insert, or take, a key, one does. */
  once() {
    const map = SharedMap.open(heap, job.map);
    for (let round = 0; round < job.rounds; round++) {
      const mine = job.party * job.rounds + round;
      const got = map.getOrInsert(round as never, (() => mine) as never) as unknown as number;
      check(got % job.rounds === round, () => `${round} holds ${got}`);
      meeting.meet();
      if (map.take(round as never) !== undefined) count++;
    }
  },

  /** Adds, and takes out what was added, while tables grow and fill with deleted slots: `count` is what it owes. */
  ledger() {
    const map = SharedMap.open(heap, job.map);
    for (let round = 0; round < job.rounds; round++) {
      const key = `key ${random(8 + (round >>> 3))}` as never;
      const act = random(16);
      if (act === 0) count -= (map.take(key) as number | undefined) ?? 0;
      else if (act === 1) {
        // The callback may run again: only what it returned counts.
        if (map.update(key, ((value: number) => value + 5) as never) !== undefined) count += 5;
      } else {
        const delta = random(3) - 1;
        map.add(key, delta as never);
        count += delta;
      }
      if (act === 2) check((map.get(key) as number | undefined) !== -0x80000000, () => `${key} is closed`);
    }
  },

  /** As `ledger`, at two keys that come and go all the time. */
  tills() {
    const map = SharedMap.open(heap, job.map);
    for (let round = 0; round < job.rounds; round++) {
      const key = ((round >>> 6) & 1) as never;
      if (random(8) === 0) count -= (map.take(key) as number | undefined) ?? 0;
      else {
        map.add(key, 1 as never);
        count += 1;
      }
    }
  },

  /** All threads add to one key: each sum is given once. `count` is the sum of the sums. */
  tickets() {
    const map = SharedMap.open(heap, job.map);
    let last = 0;
    for (let round = 0; round < job.rounds; round++) {
      const ticket = map.add('ticket' as never, 1 as never) as number;
      check(ticket > last, () => `${ticket} came after ${last}`);
      last = ticket;
      count += ticket;
      // New keys: the table grows under the tickets.
      if (round % 16 === 0) map.set(`${job.party} ${round}` as never, 0 as never);
    }
  },

  /** A cache that pushes out entries while others read them. */
  cache() {
    const map = SharedMap.open(heap, job.map);
    for (let round = 0; round < job.rounds; round++) {
      const n = random(2000);
      const key = `a key of a cache ${n}` as never;
      const value = map.getOrInsert(key, (() => wide(n)) as never);
      checkWide(value, key);
      check((value as { a: number }).a === n, () => `${key} holds ${JSON.stringify(value)}`);
    }
  },
};

const meeting = new Rendezvous(job.parties, job.meeting);
meeting.meet();
ACTS[job.act]();
heap.detach();
parentPort!.postMessage({ faults, count } satisfies MapUserReport);
