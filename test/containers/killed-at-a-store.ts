/**
 * A thread that dies at its n-th store, in one isolate: a second attachment to a heap whose views throw when
 * the store is due, and at every store from then on, so that no `finally` undoes what a dead thread has done.
 *
 *     survivor   heap ───────────────┐
 *     victim     heap, views counted ┴─ the same bytes
 *
 * What the allocator itself stores is not counted: a call of it is one step (others test what dies in it).
 * Test files that use it mock `src/memory/atomics.ts` with `mortalAtomics` of mortal-views.ts.
 */

import { vi } from 'vitest';
import { type Heap, Heap as HeapClass } from '../../src/heap/heap.ts';
import { ThreadSlots } from '../../src/heap/slots.ts';
import { readSuperblock } from '../../src/heap/superblock.ts';
import type { Address } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { Life, mortal } from './mortal-views.ts';

const ALLOCATOR_CALLS = ['alloc', 'allocZeroed', 'realloc', 'resize', 'free'] as const;
const OWNERSHIP_CALLS = ['tryShare', 'trySend', 'tryReceive', 'tryAdopt'] as const;

/** A second thread in the heap, which can be killed. */
export class Victim {
  readonly heap: Heap;
  readonly life: Life = new Life();
  private readonly survivor: Heap;

  constructor(survivor: Heap) {
    this.survivor = survivor;
    const attached = (globalThis as never)[Symbol.for('sabheap') as never] as { heaps: Map<string, Heap> };
    attached.heaps.delete(survivor.id);
    const spy = vi.spyOn(Memory, 'attach').mockImplementationOnce((buffer) => {
      spy.mockRestore();
      const memory = Memory.attach(buffer) as unknown as Record<string, object>;
      for (const name of ['i8', 'u8', 'i16', 'u16', 'i32', 'u32', 'i64', 'u64', 'f32', 'f64']) {
        memory[name] = mortal(memory[name]!, this.life);
      }
      const view = (memory.view as unknown as Memory['view']).bind(memory as never);
      memory.view = ((...args: Parameters<Memory['view']>) => mortal(view(...args), this.life)) as never;
      return memory as never;
    });
    this.heap = HeapClass.attach(survivor.handle);
    attached.heaps.set(survivor.id, survivor);
    for (const name of [...ALLOCATOR_CALLS, ...OWNERSHIP_CALLS]) this.#shelter(name);
  }

  /** A call of the allocator is one step, and a whole one. */
  #shelter(name: (typeof ALLOCATOR_CALLS | typeof OWNERSHIP_CALLS)[number]): void {
    const { life, heap } = this;
    const call = (heap[name] as (...args: never[]) => unknown).bind(heap);
    const whole = (...args: never[]): unknown => {
      life.step();
      life.sheltered++;
      try {
        return call(...args);
      } finally {
        life.sheltered--;
      }
    };
    Object.defineProperty(heap, name, { value: whole });
  }

  /** Runs `act` and dies before its store number `at`, from 0. Answers whether it died. */
  dieAt(at: number, act: () => void): boolean {
    this.life.left = at;
    try {
      act();
    } catch (error) {
      if (!this.life.dead) throw error;
    }
    this.life.left = Number.POSITIVE_INFINITY;
    const { dead } = this.life;
    this.life.dead = true;
    const slots = new ThreadSlots(this.survivor.memory, ...slotsOf(this.survivor));
    const { threadSlot, thread } = this.heap;
    // Settles the deed, as reaping does, and as that puts down what turned out to be the thread's own.
    slots.markDead(threadSlot, thread.generation);
    this.#own(slots.ownOf(threadSlot));
    slots.forgetOwn(threadSlot);
    return dead;
  }

  /** The block is the dead thread's. */
  #own(block: number): void {
    if (block === 0 || this.survivor.generationOf(block as Address) < 0) return;
    this.life.dead = false;
    this.heap.tryAdopt(block as Address);
    this.life.dead = true;
  }

  /** Blocks that are neither the dead thread's nor the survivor's own, nor owned by such, nor in `known`. */
  lost(known: ReadonlySet<number>): string[] {
    const blocks = [...this.survivor.blocks()];
    const sizes = new Map<number, number>(blocks.map(({ address, size }) => [address, size]));
    const its = blocks.filter(({ state, owner }) => state === 'live' && owner === this.heap.threadSlot);
    const owned = new Set<number>(its.map(({ address }) => address));
    for (const address of owned) {
      const words = this.survivor.memory.u32.subarray(address >>> 2, (address + sizes.get(address)!) >>> 2);
      for (const word of words) if (sizes.has(word)) owned.add(word);
    }
    return blocks
      .filter(({ state }) => state === 'shared' || state === 'flight')
      .filter(({ address }) => !known.has(address) && !owned.has(address))
      .map(({ address, state, owner, size }) => `${address}: ${size} bytes, ${state}, owner ${owner}`);
  }
}

function slotsOf(heap: Heap): [start: number, maxThreads: number] {
  const parts = readSuperblock(heap.memory);
  return [parts.slots, parts.maxThreads];
}

/** The shared blocks of a heap. */
export function sharedBlocks(heap: Heap): Set<number> {
  const found = new Set<number>();
  for (const { address, state } of heap.blocks()) if (state === 'shared') found.add(address);
  return found;
}
