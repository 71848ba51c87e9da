/**
 * A cached allocator and the handles of several threads, all in this one: each handle has a slot of its
 * own, so that the allocator cannot tell them from threads.
 */

import type { Algorithm, RegionOptions } from '../../src/allocators/algorithm.ts';
import type { Peers } from '../../src/allocators/cached-blocks.ts';
import type { AlgorithmClass } from '../../src/allocators/kinds.ts';
import { isHeld, STATE_NAMES, stateOf } from '../../src/allocators/ownership.ts';
import { CLASS_BYTES } from '../../src/allocators/size-class.ts';
import { ThreadCached } from '../../src/allocators/thread-cached.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { type Address, MiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { Thread } from '../../src/sync/thread.ts';

/** What a batch is at most, in a heap so large that bytes do not limit it. */
export const BATCH = 60;
/** What a refill from the allocator gets at most. */
export const MANY = 2 * BATCH - 7;
/** How many blocks a refill gets, one after another. */
export const APPETITE = [2, 4, 8, 16, 32, MANY, MANY];

export class CacheScene {
  readonly memory: Memory;
  readonly start = 8;
  /** The first thread's handle, in slot 1. */
  readonly mine: ThreadCached;
  #slot = 1;

  constructor(
    byteLength: number = 16 * MiB,
    // biome-ignore lint/suspicious/noExplicitAny: any algorithm with any options
    allocator: AlgorithmClass<Algorithm, any> = TlsfAllocator,
    options: Omit<RegionOptions, keyof RegionOptions> & { readonly [name: string]: unknown } = {},
    peers?: Peers,
  ) {
    this.memory = Memory.create(byteLength);
    const thread = this.#thread();
    this.mine = ThreadCached.create(this.memory, {
      start: this.start,
      allocator,
      options,
      thread,
      ...(peers === undefined ? {} : { peers }),
    });
  }

  /** Another thread's handle. */
  attach(): ThreadCached {
    return ThreadCached.attach(this.memory, this.start, this.#thread(), 1000);
  }

  #thread(): Thread {
    return Thread.inSlot(this.#slot++, 1, new Int32Array(2), 0);
  }

  /** The ownership word of a block with a header; `value` overwrites it. */
  word(address: Address, value?: number): number {
    if (value !== undefined) this.memory.i32[address / 4 - 1] = value;
    return this.memory.i32[address / 4 - 1]!;
  }

  isHeld(address: Address): boolean {
    return isHeld(this.word(address));
  }

  stateOf(address: Address): string {
    return STATE_NAMES[stateOf(this.word(address))]!;
  }

  /** How many blocks are in each state. */
  states(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { state } of this.mine.blocks()) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  }
}

/** `count` blocks of a size; all there. */
export function allocMany(allocator: ThreadCached, count: number, size: number): Address[] {
  const blocks = Array.from({ length: count }, () => allocator.alloc(size));
  if (blocks.includes(NULL)) throw new Error(`no room for ${count} blocks of ${size} bytes`);
  return blocks;
}

/** The same blocks, no two neighbours after each other: what lies in a row goes back to the allocator. */
export function outOfRow(blocks: readonly Address[]): Address[] {
  return [...blocks.filter((_, i) => i % 2 === 0), ...blocks.filter((_, i) => i % 2 === 1)];
}

/** Every class that is cached, with the bytes of its blocks. */
export const classSizes: readonly number[] = [...CLASS_BYTES.subarray(1)];
