/** A heap for the tests of locks, a second identity in it, and what the heap looked like at first. */

import { afterEach, beforeEach, expect } from 'vitest';
import type { ContainerStore } from '../../src/containers/store.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { ThreadSlots } from '../../src/heap/slots.ts';
import { readSuperblock } from '../../src/heap/superblock.ts';
import { type Address, MiB } from '../../src/memory/address.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { ParkLock } from '../../src/sync/park-lock.ts';

export const Account = struct('Account', { balance: f64, changes: u32 });
export const Other = struct('Other', { balance: f64 });

export const scene = {} as { heap: Heap; free: number };

/** Makes a heap before each test; after it the heap must be as empty as at first. */
export function useHeap(options: HeapOptions = {}): void {
  beforeEach(() => {
    scene.heap = Heap.create({ byteLength: MiB, lockTimeout: 2000, ...options });
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

/** The table of the heap's thread slots, as another thread has it. */
export function slotsOf({ memory }: Heap): ThreadSlots {
  const { slots, maxThreads } = readSuperblock(memory);
  return new ThreadSlots(memory, slots, maxThreads);
}

/** The same heap as another thread would see it, which has taken the next slot. */
export function elsewhere(heap: Heap = scene.heap): ContainerStore {
  const thread = slotsOf(heap).take();
  return Object.create(heap, {
    thread: { value: thread },
    layouts: { value: heap.layouts },
    memory: { value: heap.memory },
    id: { value: heap.id },
    tryShare: { value: () => true },
    free: { value: heap.free.bind(heap) },
    generationOf: { value: heap.generationOf.bind(heap) },
    lock: {
      value: (address: Address, repair?: () => void) =>
        new ParkLock(heap.memory, address, { thread, timeout: heap.lockTimeout, repair }),
    },
  }) as ContainerStore;
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
