/** Locks: mutual exclusion, and that everybody gets in. */

import type { Address } from '../../../src/memory/address.ts';
import { atomicAdd } from '../../../src/memory/atomics.ts';
import type { Memory } from '../../../src/memory/memory.ts';
import type { Lock } from '../../../src/sync/lock.ts';
import { ParkLock } from '../../../src/sync/park-lock.ts';
import { layPermits, PERMITS_BYTES, Permits } from '../../../src/sync/permits.ts';
import { READERS_BYTES, ReaderWriterLock } from '../../../src/sync/reader-writer-lock.ts';
import { SpinLock } from '../../../src/sync/spin-lock.ts';
import { Thread } from '../../../src/sync/thread.ts';
import type { Scenario } from '../engine/scenario.ts';

const LOCK = 8 as Address;
const SECOND_LOCK = 24 as Address;
/** Index of a word that only who is inside touches. */
const COUNTER = 16;
const OTHER_COUNTER = 17;
/** Where the records of threads lie: a slot's words. */
const RECORDS = 128;
const WORDS = 1024 as Address;

function expectCount(memory: Memory, index: number, expected: number): void {
  const found = memory.i32[index]!;
  if (found !== expected)
    throw new Error(`the counter is ${found}, not ${expected}: two were inside at once`);
}

/** A counter that is read and written in two steps. */
function increment(memory: Memory, index: number): void {
  const seen = memory.i32[index]!;
  memory.i32[index] = seen + 1;
}

/** The calling thread in a slot of its own, whose record lies in shared bytes. */
function inSlot(memory: Memory, slot: number): Thread {
  return Thread.inSlot(slot, 1, memory.i32, RECORDS + slot * 8);
}

/** Some take the lock by blocking, the others in tasks that wait for it. */
function excludingAsync(open: (memory: Memory) => Lock, blocking: number, tasks: number): Scenario {
  const threads = blocking + tasks;
  return {
    bytes: 256,
    world: () => undefined,
    threads: Array.from({ length: threads }, (_, i) => (memory: Memory) => {
      const lock = open(memory);
      return async () => {
        if (i < blocking) lock.acquire();
        else await lock.acquireAsync();
        increment(memory, COUNTER);
        lock.release();
      };
    }),
    check(memory) {
      expectCount(memory, COUNTER, threads);
      if (open(memory).owner !== 0) throw new Error('the lock was left held');
    },
  };
}

function excluding(open: (memory: Memory) => Lock, threads: number, rounds: number): Scenario {
  return {
    bytes: 256,
    world: () => undefined,
    threads: Array.from({ length: threads }, () => (memory: Memory) => {
      const lock = open(memory);
      return () => {
        for (let round = 0; round < rounds; round++) {
          lock.acquire();
          increment(memory, COUNTER);
          lock.release();
        }
      };
    }),
    check(memory) {
      expectCount(memory, COUNTER, threads * rounds);
      if (open(memory).owner !== 0) throw new Error('the lock was left held');
    },
  };
}

export const parkTwo = excluding((memory) => new ParkLock(memory, LOCK), 2, 1);
export const parkTwice = excluding((memory) => new ParkLock(memory, LOCK), 2, 2);
export const parkThree = excluding((memory) => new ParkLock(memory, LOCK), 3, 1);
export const spinTwo = excluding((memory) => new SpinLock(memory, LOCK), 2, 1);
export const spinThree = excluding((memory) => new SpinLock(memory, LOCK), 3, 1);
export const tasks = excludingAsync((memory) => new ParkLock(memory, LOCK), 0, 2);
export const taskAndThread = excludingAsync((memory) => new ParkLock(memory, LOCK), 1, 1);
export const tasksAndThread = excludingAsync((memory) => new ParkLock(memory, LOCK), 1, 2);

/** One takes the lock if it is free, the other waits for it. */
export const tryAndWait: Scenario = {
  bytes: 256,
  world: () => ({ entered: 0 }),
  threads: [
    (memory, world) => {
      const lock = new ParkLock(memory, LOCK);
      return () => {
        if (!lock.tryAcquire()) return;
        world.entered++;
        increment(memory, COUNTER);
        lock.release();
      };
    },
    (memory, world) => {
      const lock = new ParkLock(memory, LOCK);
      return () => {
        lock.acquire();
        world.entered++;
        increment(memory, COUNTER);
        lock.release();
      };
    },
  ],
  check: (memory, world) => expectCount(memory, COUNTER, world.entered),
};

/** Two locks, given back in the order in which they were taken: the held list is unlinked in its middle. */
export const twoLocks: Scenario = {
  bytes: 2048,
  world: () => undefined,
  threads: [1, 2].map((slot) => (memory: Memory) => {
    const thread = inSlot(memory, slot);
    const outer = new ParkLock(memory, LOCK, { thread });
    const inner = new ParkLock(memory, SECOND_LOCK, { thread });
    return () => {
      outer.acquire();
      inner.acquire();
      increment(memory, COUNTER);
      outer.release();
      increment(memory, OTHER_COUNTER);
      inner.release();
      if (memory.i32[thread.held] !== 0 || memory.i32[thread.pending] !== 0) {
        throw new Error('the record of a thread that holds nothing says otherwise');
      }
    };
  }),
  check(memory) {
    expectCount(memory, COUNTER, 2);
    expectCount(memory, OTHER_COUNTER, 2);
  },
};

// ── Readers and writers ─────────────────────────────────────────────────────────────────────────

function readerWriter(memory: Memory, slot: number): ReaderWriterLock {
  const thread = inSlot(memory, slot);
  return new ReaderWriterLock(
    memory,
    new ParkLock(memory, LOCK, { thread }),
    thread,
    32 as Address,
    (WORDS + 1024) as Address,
  );
}

interface Room {
  /** Whether a writer is in. */
  writes: boolean;
}

function room(): Room {
  return { writes: false };
}

function reads(slot: number, times: number) {
  return (memory: Memory, world: Room) => {
    const lock = readerWriter(memory, slot);
    return () => {
      for (let left = times; left > 0; left--) {
        lock.read(10_000);
        const before = memory.i32[COUNTER]!;
        const after = memory.i32[COUNTER]!;
        if (world.writes || after !== before) throw new Error('a writer was in while another read');
        lock.leave();
      }
    };
  };
}

function writes(slot: number) {
  return (memory: Memory, world: Room) => {
    const lock = readerWriter(memory, slot);
    return () => {
      lock.write(10_000);
      world.writes = true;
      increment(memory, COUNTER);
      world.writes = false;
      lock.endWrite();
    };
  };
}

const READER_WRITER_BYTES = WORDS + 1024 + READERS_BYTES;

export const readAndWrite: Scenario = {
  bytes: READER_WRITER_BYTES,
  world: room,
  threads: [reads(1, 2), writes(2)],
  check: (memory) => expectCount(memory, COUNTER, 1),
};

export const writersAndReader: Scenario = {
  bytes: READER_WRITER_BYTES,
  world: room,
  threads: [writes(1), reads(2, 1), writes(3)],
  check: (memory) => expectCount(memory, COUNTER, 2),
};

export const readersAndWriter: Scenario = {
  bytes: READER_WRITER_BYTES,
  world: room,
  threads: [reads(1, 1), writes(2), reads(3, 1)],
  check: (memory) => expectCount(memory, COUNTER, 1),
};

// ── Permits ─────────────────────────────────────────────────────────────────────────────────────

const INSIDE = 8;

function permits(memory: Memory, slot: number): Permits {
  const thread = inSlot(memory, slot);
  return new Permits(memory, WORDS, thread, new ParkLock(memory, WORDS, { thread }));
}

/** Threads that each take some permits for a moment. */
function taking(total: number, counts: readonly number[]): Scenario {
  return {
    bytes: WORDS + PERMITS_BYTES,
    lay: (memory) => layPermits(memory, WORDS, total),
    world: () => undefined,
    threads: counts.map((count, i) => (memory: Memory) => {
      const mine = permits(memory, i + 1);
      return () => {
        mine.take(count, 10_000);
        const inside = atomicAdd(memory.i32, INSIDE, count) + count;
        if (inside > total) throw new Error(`${inside} of ${total} permits are taken`);
        atomicAdd(memory.i32, INSIDE, -count);
        mine.giveBack(count);
      };
    }),
    check(memory) {
      const all = permits(memory, 9);
      if (all.available !== total || all.holders().length !== 0) {
        throw new Error(`${all.available} of ${total} permits are free at the end`);
      }
    },
  };
}

export const onePermit = taking(1, [1, 1]);
export const onePermitThree = taking(1, [1, 1, 1]);
export const manyPermits = taking(3, [2, 2, 1]);

/** One waits for permits that the other puts in. */
export const addedPermits: Scenario = {
  bytes: WORDS + PERMITS_BYTES,
  lay: (memory) => layPermits(memory, WORDS, 0),
  world: () => undefined,
  threads: [
    (memory) => {
      const mine = permits(memory, 1);
      return () => mine.take(2, 10_000);
    },
    (memory) => {
      const mine = permits(memory, 2);
      return () => {
        mine.add(1);
        mine.add(1);
      };
    },
  ],
  check(memory) {
    if (permits(memory, 9).takenBy(1) !== 2) throw new Error('the permits are not recorded');
  },
};
