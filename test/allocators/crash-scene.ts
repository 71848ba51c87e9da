/**
 * Crash scene: an allocator in a random state, the operations that one may die in, and what must hold
 * after a recovery wherever it died.
 */

import { expect } from 'vitest';
import type { Algorithm } from '../../src/allocators/algorithm.ts';
import { BoundaryTags } from '../../src/allocators/boundary-tags.ts';
import { BumpAllocator } from '../../src/allocators/bump.ts';
import { HybridAllocator } from '../../src/allocators/hybrid.ts';
import { handWord } from '../../src/allocators/ownership.ts';
import { type Address, KiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { randomFrom } from '../random.ts';
import type { Subject } from './subjects.ts';

export const START = 4 * KiB;
const REGION = 24 * KiB;
const MEMORY = 48 * KiB;
/** Where claims above the region may begin: beyond it, with a gap between. */
const FAR = START + REGION + 6 * KiB;
/** A size class's bits in an ownership word. */
const CLASS = 5 << 8;
const CLASS_SIZE = 80;

interface Held {
  readonly size: number;
  readonly stamp: number;
}

/** Something to die in. All numbers are chosen beforehand, so that each run makes the same stores. */
export interface Operation {
  readonly name: string;
  /** What it may do away with or change, and how many bytes of each must survive in any case. */
  readonly touches: ReadonlyMap<Address, number>;
  /** Whether contents of what it does away with are in another block then. */
  readonly moves?: boolean;
  /** Whether it commits in several steps, so that it may be half done. */
  readonly mayBeHalfDone?: boolean;
  run(allocator: Algorithm): void;
}

const nothing: ReadonlyMap<Address, number> = new Map();

export class CrashScene {
  readonly memory = Memory.create(MEMORY);
  readonly allocator: Algorithm;
  readonly #random: () => number;
  readonly #held = new Map<Address, Held>();
  /** Blocks in hands, as a cache has them: units. */
  readonly #cached = new Int32Array(64);
  #cachedCount = 0;
  #stamps = 0;

  constructor(subject: Subject, seed: number) {
    this.#random = randomFrom(seed);
    // Noise, as recycled memory has it: what nobody has written must not be believed.
    const { u8 } = this.memory;
    for (let i = 0; i < MEMORY; i++) u8[i] = this.#random() * 256;
    this.allocator = subject.create(this.memory, START, REGION) as Algorithm;
    const steps = this.#upTo(90);
    for (let i = 0; i < steps; i++) this.#step();
    this.allocator.verify();
  }

  #upTo(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #size(): number {
    const kind = this.#random();
    return this.#upTo(kind < 0.6 ? 200 : kind < 0.95 ? 1500 : 8000);
  }

  #align(): number {
    return this.#random() < 0.7 ? 8 : 2 ** this.#upTo(10);
  }

  #pick(): Address {
    const all = [...this.#held.keys()];
    return all.length === 0 ? NULL : all[this.#upTo(all.length)]!;
  }

  /** One random step of the life before the crash. */
  #step(): void {
    const { allocator } = this;
    const kind = this.#random();
    const address = this.#pick();
    if (kind < 0.5 || address === NULL) {
      const size = this.#size();
      const isTemporary = allocator instanceof HybridAllocator && this.#random() < 0.3;
      const from = isTemporary ? allocator.temporary : allocator;
      this.#note(from.alloc(size, this.#align()), size);
    } else if (kind < 0.8) {
      allocator.free(address);
      this.#held.delete(address);
    } else if (kind < 0.95) {
      const size = this.#size();
      const moved = allocator.realloc(address, size);
      if (moved === NULL) return;
      this.#held.delete(address);
      this.#note(moved, size);
    } else if (allocator instanceof BoundaryTags && this.#random() < 0.4) {
      if (this.#random() < 0.5) allocator.claim(FAR + this.#upTo(4 * KiB), 1 * KiB + this.#upTo(2 * KiB));
      else allocator.claim(512 + this.#upTo(1 * KiB), 512 + this.#upTo(1 * KiB));
    } else {
      allocator.extend(this.#upTo(2 * KiB));
    }
  }

  #note(address: Address, size: number): void {
    if (address === NULL) return;
    const stamp = ++this.#stamps;
    this.#held.set(address, { size, stamp });
    for (let i = 0; i < size; i++) this.memory.u8[address + i] = stamp * 31 + i;
  }

  // ── What one may die in ─────────────────────────────────────────────────────────────────────────

  /** One operation of each kind, with random numbers. */
  operations(): Operation[] {
    const size = this.#size();
    const align = 2 ** (4 + this.#upTo(7));
    return [
      this.#plain(`alloc ${size}`, (allocator) => allocator.alloc(size)),
      this.#plain(`alloc ${size} aligned to ${align}`, (allocator) => allocator.alloc(size, align)),
      this.#plain('allocate the largest', (allocator) => allocator.alloc(allocator.largestFree())),
      this.#plain(`allocZeroed ${size}`, (allocator) => allocator.allocZeroed(size)),
      ...this.#onOneBlock(),
      ...this.#onManyBlocks(),
      ...this.#onTheRegion(),
    ];
  }

  #plain(name: string, run: (allocator: Algorithm) => void): Operation {
    return { name, touches: nothing, run };
  }

  #onOneBlock(): Operation[] {
    const address = this.#pick();
    if (address === NULL) return [];
    const { size } = this.#held.get(address)!;
    const usable = this.allocator.sizeOf(address);
    const sizes = [usable - 8, usable + 8, usable / 2, usable + 40, this.#size()].filter((to) => to >= 0);
    const kept = (to: number): ReadonlyMap<Address, number> => new Map([[address, Math.min(size, to)]]);
    return [
      {
        name: `free ${address}`,
        touches: new Map([[address, 0]]),
        run: (allocator) => allocator.free(address),
      },
      ...sizes.map((to) => ({
        name: `resize ${address} from ${usable} to ${to}`,
        touches: kept(to),
        run: (allocator: Algorithm) => allocator.resize(address, to),
      })),
      ...[this.#size(), usable + 500].map((to) => ({
        name: `realloc ${address} from ${usable} to ${to}`,
        touches: kept(to),
        moves: true,
        run: (allocator: Algorithm) => allocator.realloc(address, to),
      })),
    ];
  }

  /** As a cache does: a batch comes and goes. Leaves blocks in hands for the second. */
  #onManyBlocks(): Operation[] {
    const { allocator } = this;
    const count = 2 + this.#upTo(30);
    const take = (from: Algorithm, entries: Int32Array): number => {
      const bits = handWord(0, from.owner) | CLASS;
      const got = from.takeMany(CLASS_SIZE, count, bits);
      if (from.layMany(got, bits, entries, 0)) from.cutMany();
      return got;
    };
    this.#cachedCount = take(allocator, this.#cached);
    const last = this.#cachedCount - this.#upTo(3);
    return [
      this.#plain(`take ${count} at once`, (from) => void take(from, new Int32Array(64))),
      this.#plain(`give ${last} back at once`, (to) => {
        to.joinMany(this.#cached, 0, Math.max(0, last), handWord(0, to.owner) | CLASS);
        to.releaseMany();
      }),
    ];
  }

  #onTheRegion(): Operation[] {
    const { allocator } = this;
    const bytes = this.#upTo(3 * KiB);
    const extend = this.#plain(`extend ${bytes}`, (other) => void other.extend(bytes));
    // A buddy allocator takes one power of two after the other.
    const operations: Operation[] = [{ ...extend, mayBeHalfDone: true }];
    if (allocator instanceof BoundaryTags) operations.push(...this.#onSpans(allocator, bytes));
    if (allocator instanceof BumpAllocator) {
      const all = new Map([...this.#held].map(([address]) => [address, 0]));
      operations.push({ name: 'reset', touches: all, run: (bump) => (bump as BumpAllocator).reset() });
    }
    return operations;
  }

  #onSpans(allocator: BoundaryTags, bytes: number): Operation[] {
    const claims: [string, number, number][] = [
      ['right above', allocator.end, bytes],
      ['right above, a little', allocator.end, 8 + 8 * this.#upTo(3)],
      ['far above', allocator.end + 8 + this.#upTo(500), 600],
      ['below', 256, 8 * this.#upTo(30)],
      ['up to the start', START - 200, 200],
      ['in a gap', FAR - 2 * KiB, 1 * KiB],
      ['at the start of a gap', START + REGION, 1 * KiB],
      ['all of a gap', START + REGION, FAR - START - REGION],
    ];
    const cuts = [8 * (1 + this.#upTo(40)), 8, 16, allocator.largestFree() + 8];
    return [
      ...claims.map(([name, start, count]) =>
        this.#plain(`claim ${count} ${name}`, (other) => (other as BoundaryTags).claim(start, count)),
      ),
      ...cuts.map((cut) => this.#plain(`truncate ${cut}`, (other) => (other as BoundaryTags).truncate(cut))),
    ];
  }

  // ── What must hold afterwards ───────────────────────────────────────────────────────────────────

  /** A copy of the bytes as they are. */
  copyBytes(): Uint8Array {
    return this.memory.u8.slice();
  }

  /** Checks an allocator that was rebuilt after a death in `operation`, and gives all of it back. */
  check(allocator: Algorithm, operation: Operation): void {
    allocator.verify();
    const found = new Map([...allocator.blocks()].map((block) => [block.address, block]));
    for (const [address, held] of this.#held) {
      const keeps = operation.touches.get(address);
      const isHeld = found.get(address)?.state === 'live';
      if (keeps === undefined) expect(isHeld, `the block at ${address} is gone`).toBe(true);
      if (isHeld) this.#expectStamped(allocator, address, held, keeps ?? held.size);
      else if (operation.moves) this.#expectMoved(allocator, held, keeps!);
    }
    const hands = [...found.values()].filter(({ state }) => state === 'hand');
    for (const { address } of hands) allocator.release(address);
    allocator.verify();
    for (const { address, state } of found.values()) if (state === 'live') allocator.free(address);
    allocator.verify();
  }

  #expectStamped(allocator: Algorithm, address: Address, { stamp }: Held, size: number): void {
    const { u8 } = allocator.memory;
    for (let i = 0; i < size; i++) {
      if (u8[address + i] === ((stamp * 31 + i) & 0xff)) continue;
      expect.fail(`byte ${i} of the block at ${address} was overwritten`);
    }
  }

  #expectMoved(allocator: Algorithm, { stamp }: Held, size: number): void {
    const { u8 } = allocator.memory;
    for (const { address, state, size: usable } of allocator.blocks()) {
      if (state !== 'live' || this.#held.has(address) || usable < size) continue;
      let i = 0;
      while (i < size && u8[address + i] === ((stamp * 31 + i) & 0xff)) i++;
      if (i === size) return;
    }
    expect.fail('what was moved is nowhere');
  }
}

/** What an allocator is that has given nothing out. */
export function emptied(allocator: Algorithm): string {
  const { largestFree, free, capacity } = allocator.stats();
  const whole = allocator.alloc(largestFree);
  expect(whole, `the largest free block, ${largestFree} bytes, can be allocated`).not.toBe(NULL);
  allocator.free(whole);
  allocator.verify();
  return `largest ${largestFree}, free ${free}, capacity ${capacity}`;
}
