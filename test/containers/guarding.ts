/** A heap for the tests of locks, a second identity in it, and what the heap looked like at first. */

import { afterEach, beforeEach, expect } from 'vitest';
import type { ContainerStore } from '../../src/containers/store.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { SLOT_BYTES } from '../../src/heap/slots.ts';
import { readSuperblock } from '../../src/heap/superblock.ts';
import { MiB } from '../../src/memory/address.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { ParkLock } from '../../src/sync/park-lock.ts';
import { Thread } from '../../src/sync/thread.ts';

export const Account = struct('Account', { balance: f64, changes: u32 });
export const Other = struct('Other', { balance: f64 });

export const scene = {} as { heap: Heap; free: number };

/** Makes a heap before each test; after it the heap must be as empty as at first. */
export function useHeap(options: HeapOptions = {}): void {
  beforeEach(() => {
    scene.heap = Heap.create({ byteLength: MiB, lockTimeout: 60_000, ...options });
    // Layouts are registered once: not a part of what a lock takes.
    scene.heap.delete(scene.heap.new(Account));
    scene.free = emptiness(scene.heap);
  });
  afterEach(() => {
    expect(scene.heap.stats().liveBlocks).toBe(0);
    expect(emptiness(scene.heap)).toBe(scene.free);
    scene.heap.verify();
    scene.heap.detach();
  });
}

function emptiness(heap: Heap): number {
  heap.flush();
  return heap.stats().largestFree;
}

/** The same heap as another thread of slot 9 would see it. */
export function elsewhere(heap: Heap = scene.heap): ContainerStore {
  seat(heap, 9);
  const thread = Thread.inSlot(9, 1, new Int32Array(2), 0);
  return Object.create(heap, {
    thread: { value: thread },
    layouts: { value: heap.layouts },
    memory: { value: heap.memory },
    id: { value: heap.id },
    tryShare: { value: () => true },
    free: { value: heap.free.bind(heap) },
    generationOf: { value: heap.generationOf.bind(heap) },
    lock: {
      value: (address: never, repair?: () => void) =>
        new ParkLock(heap.memory, address, { thread, timeout: heap.lockTimeout, repair }),
    },
  }) as ContainerStore;
}

/** Lets a slot be taken, in its first generation, by a thread that does not end. */
function seat(heap: Heap, slot: number): void {
  const { slots } = readSuperblock(heap.memory);
  const word = (slots + (slot - 1) * SLOT_BYTES) >>> 2;
  heap.memory.i32[word] = 1000;
  heap.memory.i32[word + 1] = 1;
}

/** Resolves in `ms`. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A signal that is aborted in `ms`. */
export function abortIn(ms: number, reason: Error): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), ms);
  return controller.signal;
}
