/**
 * Heap scene: a scenario on a heap. At its end all threads are reaped, what was prepared is given up, and the
 * heap must be as it was before: every invariant holds, no block is left, all is in one piece.
 */

import { Heap } from '../../../src/heap/heap.ts';
import type { HeapOptions } from '../../../src/heap/options.ts';
import { SLOT_BYTES } from '../../../src/heap/slots.ts';
import { readSuperblock } from '../../../src/heap/superblock.ts';
import type { AllowedRace, Scenario } from '../engine/scenario.ts';

const BYTES = 40 * 1024;

/** What a scene on a heap consists of. `P` is prepared once, and what each schedule begins with. */
export interface HeapScene<P, W> {
  readonly options?: HeapOptions;
  readonly bytes?: number;
  /** Makes what the threads share. Addresses and handles only: it is another thread that uses them. */
  prepare(heap: Heap): P;
  /** Frees what was prepared, and what the threads have left. */
  finish(heap: Heap, prepared: P, world?: W): void;
  readonly world?: () => W;
  /** Opened in one step by each thread; what is returned is explored. */
  readonly threads: readonly ((heap: Heap, prepared: P, world: W) => () => void)[];
  readonly races?: readonly AllowedRace[];
  readonly maySleepOut?: boolean;
}

/** What the threads of a scene get. */
export interface Shared<P, W> {
  readonly prepared: P;
  readonly world: W;
}

/** A scenario whose threads are attached to one heap. */
export function onHeap<P, W>(scene: HeapScene<P, W>): Scenario<Shared<P, W>> {
  let before = { largestFree: 0, liveBlocks: 0, capacity: 0 };
  let prepared: P;
  return {
    bytes: scene.bytes ?? BYTES,
    lay(memory) {
      const heap = Heap.create({ buffer: memory.buffer, maxThreads: 5, ...scene.options });
      // Twice: layouts that are registered stay.
      scene.finish(heap, scene.prepare(heap));
      heap.flush();
      before = heap.stats();
      prepared = scene.prepare(heap);
      heap.detach();
    },
    world: () => ({ prepared, world: scene.world?.() as W }),
    threads: scene.threads.map((open) => (memory, shared) => {
      return open(Heap.attach(memory.buffer), shared.prepared, shared.world);
    }),
    check(memory, shared) {
      const heap = Heap.attach(memory.buffer);
      reapAll(heap, scene.maySleepOut);
      expectSlotsFree(heap);
      heap.verify();
      scene.finish(heap, shared.prepared, shared.world);
      heap.flush();
      heap.verify();
      const { largestFree, liveBlocks, capacity } = heap.stats();
      const whole = before.largestFree + capacity - before.capacity;
      if (largestFree !== whole || liveBlocks !== before.liveBlocks) {
        const left = [...heap.blocks()]
          .filter(({ state }) => state !== 'free' && state !== 'hand')
          .map(
            ({ address, size, state, owner }) =>
              `${size} bytes at ${address} ${state} ${owner} ${heap.memory.u32[address / 4]!.toString(16)}`,
          );
        const blocks = `${liveBlocks} blocks are live, not ${before.liveBlocks}: ${left.join(', ')}`;
        throw new Error(`at the end ${blocks}; the largest piece is ${largestFree}, not ${whole}`);
      }
    },
    ...(scene.races === undefined ? {} : { races: scene.races }),
    ...(scene.maySleepOut === undefined ? {} : { maySleepOut: scene.maySleepOut }),
  };
}

/** The same without thread caches, which would cost more than all else: for what is built on a heap. */
export function onPlainHeap<P, W>(scene: HeapScene<P, W>): Scenario<Shared<P, W>> {
  return onHeap({ ...scene, bytes: 20 * 1024, options: { cache: false } });
}

/** The dead are reaped: no slot is taken but by the calling thread, nor about to be. */
function expectSlotsFree(heap: Heap): void {
  heap.recover();
  const { slots, maxThreads } = readSuperblock(heap.memory);
  for (let slot = 1; slot <= maxThreads; slot++) {
    const word = heap.memory.i32[(slots + (slot - 1) * SLOT_BYTES) / 4]!;
    if (word !== 0 && slot !== heap.threadSlot) throw new Error(`slot ${slot} is lost: ${word}`);
  }
}

/** The threads of the schedule have ended without a word: the heap gets back what they had. */
export function reapAll(heap: Heap, reclaim = false): void {
  for (const { slot, generation } of heap.threads()) {
    if (slot !== heap.threadSlot) heap.reap({ slot, generation }, { reclaim });
  }
}
