/**
 * Flushing: an allocator with caches as the suites over all allocators see it. Before anybody looks at its
 * figures or blocks, the caches are given back: then there are only free and live blocks, as everywhere.
 */

import type { Allocator, AllocatorStats, BlockInfo } from '../../src/allocators/allocator.ts';
import type { Address } from '../../src/memory/address.ts';

export interface Cached extends Allocator {
  flush(): void;
}

export class Flushing implements Allocator {
  readonly #cached: Cached;
  readonly #extend: (bytes: number) => boolean;

  constructor(cached: Cached, extend: (bytes: number) => boolean) {
    this.#cached = cached;
    this.#extend = extend;
  }

  alloc(size: number, align?: number): Address {
    return this.#cached.alloc(size, align);
  }

  allocZeroed(size: number, align?: number): Address {
    return this.#cached.allocZeroed(size, align);
  }

  realloc(address: Address, size: number, align?: number): Address {
    return this.#cached.realloc(address, size, align);
  }

  resize(address: Address, size: number): boolean {
    return this.#cached.resize(address, size);
  }

  free(address: Address): void {
    this.#cached.free(address);
  }

  sizeOf(address: Address): number {
    return this.#cached.sizeOf(address);
  }

  /** What every allocator counts, and nothing that only a thread counts for itself. */
  stats(): AllocatorStats {
    this.#cached.flush();
    const {
      capacity,
      used,
      free,
      largestFree,
      liveBlocks,
      allocations,
      frees,
      failures,
      peakUsed,
      overhead,
    } = this.#cached.stats();
    return {
      capacity,
      used,
      free,
      largestFree,
      liveBlocks,
      allocations,
      frees,
      failures,
      peakUsed,
      overhead,
    };
  }

  blocks(): IterableIterator<BlockInfo> {
    this.#cached.flush();
    return this.#cached.blocks();
  }

  /** With the caches full: what is in them is verified too. */
  verify(): void {
    this.#cached.verify();
  }

  extend(bytes: number): boolean {
    return this.#extend(bytes);
  }
}
