/**
 * Tracking: who allocated what is still live. For finding leaks, not for production: each allocation
 * takes a stack trace.
 *
 * While it is on, a tracker stands before this thread's allocator and notes the call site, or a label, of
 * each block by address, in plain JavaScript. Other threads are not slowed and not tracked; a block that
 * another thread frees and reuses is told apart by its owner when the report walks the heap.
 */

import type { AllocatorStats, BlockInfo } from '../allocators/allocator.ts';
import { type Address, NULL } from '../memory/address.ts';

/** What the heap asks of what it allocates from. */
export interface HeapCore {
  alloc(size: number, align?: number): Address;
  realloc(address: Address, size: number, align?: number): Address;
  resize(address: Address, size: number): boolean;
  free(address: Address): void;
  sizeOf(address: Address): number;
  stats(): AllocatorStats;
  blocks(): IterableIterator<BlockInfo>;
  verify(): void;
  extend(bytes: number): boolean;
  tryShare(address: Address): boolean;
}

/** Live blocks that were allocated at one place. */
export interface LeakGroup {
  /** The label, or the line of the stack trace outside this library; in a bundle the whole trace. */
  readonly site: string;
  readonly blocks: number;
  /** Usable bytes. */
  readonly bytes: number;
  /** The blocks' addresses, in order. */
  readonly addresses: readonly Address[];
}

const UNTRACKED = '(another thread, or before tracking)';
/** Notes where this thread's blocks come from. Made by `heap.track()`. */
export class Tracker implements HeapCore {
  /** While set, the site of every allocation, instead of its call site. */
  label: string | undefined;
  readonly #core: HeapCore;
  readonly #slot: number;
  readonly #sites = new Map<Address, string>();
  readonly #stop: () => void;

  constructor(core: HeapCore, slot: number, stop: () => void) {
    this.#core = core;
    this.#slot = slot;
    this.#stop = stop;
  }

  /** Ends tracking: allocations are as fast as before. What was noted can still be reported. */
  stop(): void {
    this.#stop();
  }

  /** The live blocks of the heap by where they were allocated, most bytes first. Walks all blocks. */
  report(): LeakGroup[] {
    const groups = new Map<string, { site: string; blocks: number; bytes: number; addresses: Address[] }>();
    for (const { address, size, state, owner } of this.#core.blocks()) {
      if (state !== 'live' && state !== 'flight' && state !== 'shared' && state !== 'orphan') continue;
      const mine = owner === this.#slot || owner === 0;
      const site = (mine ? this.#sites.get(address) : undefined) ?? UNTRACKED;
      const group = groups.get(site) ?? { site, blocks: 0, bytes: 0, addresses: [] };
      group.blocks++;
      group.bytes += size;
      group.addresses.push(address);
      groups.set(site, group);
    }
    return [...groups.values()].sort((a, b) => b.bytes - a.bytes);
  }

  alloc(size: number, align?: number): Address {
    return this.#note(this.#core.alloc(size, align));
  }

  realloc(address: Address, size: number, align?: number): Address {
    const moved = this.#core.realloc(address, size, align);
    if (moved !== NULL && moved !== address) this.#sites.delete(address);
    return this.#note(moved);
  }

  free(address: Address): void {
    this.#core.free(address);
    this.#sites.delete(address);
  }

  resize(address: Address, size: number): boolean {
    return this.#core.resize(address, size);
  }

  sizeOf(address: Address): number {
    return this.#core.sizeOf(address);
  }

  stats(): AllocatorStats {
    return this.#core.stats();
  }

  blocks(): IterableIterator<BlockInfo> {
    return this.#core.blocks();
  }

  verify(): void {
    this.#core.verify();
  }

  extend(bytes: number): boolean {
    return this.#core.extend(bytes);
  }

  tryShare(address: Address): boolean {
    return this.#core.tryShare(address);
  }

  #note(address: Address): Address {
    if (address !== NULL) this.#sites.set(address, this.label ?? callSite());
    return address;
  }
}

/** The innermost line of the stack that is not this library's. */
function callSite(): string {
  const lines = (new Error().stack ?? '').split('\n').filter((text) => /:\d+/.test(text));
  const library = libraryIn(lines[0] ?? '');
  if (library === undefined) return lines.map(trimmed).join(' ← ');
  return trimmed(lines.find((text) => !text.includes(library)) ?? lines.at(-1)!);
}

/**
 * The library's folder as this trace spells it, from the line of this very file: a URL or a path, of what was built
 * or, through source maps, of what it was built of. None in a bundle, whose one file has the callers' code too.
 */
function libraryIn(own: string): string | undefined {
  return /[^(@]*\/(?=heap\/tracking\.[jt]s)/.exec(own)?.[0];
}

function trimmed(line: string): string {
  return line.trim().replace(/^at /, '');
}
