/**
 * Random operations beside a model: a plain Map of what should be live. After each step the allocator
 * verifies itself, no two blocks share a byte, all contents are as stamped and the counters as counted;
 * at the end all is freed and the first state is back. A failing run prints its seed and its shortest form.
 */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Allocator } from '../../src/allocators/allocator.ts';
import { type Address, MiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { expectAllBack } from './conformance.ts';
import { Site } from './site.ts';
import { type Subject, subjects } from './subjects.ts';

type Step =
  | { readonly do: 'alloc' | 'allocZeroed'; readonly size: number; readonly align: number }
  | { readonly do: 'free'; readonly pick: number }
  | {
      readonly do: 'realloc';
      readonly pick: number;
      readonly size: number;
      readonly align: number | undefined;
    }
  | { readonly do: 'resize'; readonly pick: number; readonly size: number }
  | { readonly do: 'allocLargest' };

const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(200) },
  { weight: 2, arbitrary: fc.nat(5000) },
  { weight: 1, arbitrary: fc.nat(100_000) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 7, 8, 9, 15, 16, 17, 24, 25, 4095, 4096, 4097) },
);
const align = fc.oneof(
  { weight: 3, arbitrary: fc.constant(8) },
  { weight: 1, arbitrary: fc.nat(12).map((log) => 2 ** log) },
);
const pick = fc.nat(1000);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('alloc', 'allocZeroed'), size, align }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('free'), pick }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('realloc'),
      pick,
      size,
      align: fc.option(align, { nil: undefined }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('resize'), pick, size }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('allocLargest') }) },
);

interface Live {
  size: number;
  seed: number;
  align: number;
}

/** An allocator and, beside it, what it should hold. */
class Pair {
  readonly #live = new Map<Address, Live>();
  readonly #allocator: Allocator;
  readonly #site: Site;
  #seed = 0;
  #allocations = 0;
  #frees = 0;
  #failures = 0;

  constructor(allocator: Allocator, site: Site) {
    this.#allocator = allocator;
    this.#site = site;
  }

  take(step: Step): void {
    switch (step.do) {
      case 'alloc':
        this.#alloc(step.size, step.align);
        break;
      case 'allocZeroed':
        this.#allocZeroed(step.size, step.align);
        break;
      case 'allocLargest':
        this.#allocLargest();
        break;
      case 'free':
        this.#withLive(step.pick, (address) => this.#free(address));
        break;
      case 'realloc':
        this.#withLive(step.pick, (address) => this.#realloc(address, step.size, step.align));
        break;
      case 'resize':
        this.#withLive(step.pick, (address) => this.#resize(address, step.size));
        break;
    }
  }

  check(): void {
    this.#allocator.verify();
    const stats = this.#allocator.stats();
    const sizes = [...this.#live.keys()].map((address) => this.#allocator.sizeOf(address));
    expect(stats).toMatchObject({
      used: sizes.reduce((sum, usable) => sum + usable, 0),
      liveBlocks: this.#live.size,
      allocations: this.#allocations,
      frees: this.#frees,
      failures: this.#failures,
    });
    for (const [address, { size, seed, align }] of this.#live) {
      expect(address % align, `alignment of ${address}`).toBe(0);
      this.#site.expectStamped(address, size, seed);
    }
    const shown = [...this.#allocator.blocks()].filter(({ state }) => state !== 'free');
    expect(shown.map((block) => block.address)).toEqual([...this.#live.keys()].sort((a, b) => a - b));
    for (const [i, { address, size }] of shown.entries()) {
      expect(address + size, 'blocks overlap').toBeLessThanOrEqual(
        shown[i + 1]?.address ?? Number.POSITIVE_INFINITY,
      );
    }
  }

  freeAll(): void {
    for (const address of [...this.#live.keys()]) this.#free(address);
  }

  #alloc(size: number, align: number): void {
    this.#admit(this.#allocator.alloc(size, align), size, align);
  }

  #allocZeroed(size: number, align: number): void {
    const address = this.#allocator.allocZeroed(size, align);
    if (address !== NULL) {
      const bytes = this.#site.memory.bytes(address, size);
      expect(bytes.every((byte) => byte === 0)).toBe(true);
    }
    this.#admit(address, size, align);
  }

  #allocLargest(): void {
    const { largestFree } = this.#allocator.stats();
    expect(this.#allocator.alloc(largestFree + 1), 'more than largestFree was served').toBe(NULL);
    this.#failures++;
    if (largestFree === 0) return;
    const address = this.#allocator.alloc(largestFree);
    expect(address, 'largestFree was not served').not.toBe(NULL);
    this.#admit(address, largestFree, 8);
    this.#free(address);
  }

  #admit(address: Address, size: number, align: number): void {
    if (address === NULL) {
      this.#failures++;
      return;
    }
    this.#allocations++;
    expect(this.#live.has(address)).toBe(false);
    expect(this.#allocator.sizeOf(address)).toBeGreaterThanOrEqual(size);
    this.#stamp(address, size, align);
  }

  #free(address: Address): void {
    const { size, seed } = this.#live.get(address)!;
    this.#site.expectStamped(address, size, seed);
    this.#allocator.free(address);
    this.#live.delete(address);
    this.#frees++;
  }

  #realloc(address: Address, size: number, align: number | undefined): void {
    const old = this.#live.get(address)!;
    const moved = this.#allocator.realloc(address, size, align);
    if (moved === NULL) {
      this.#failures++;
      return;
    }
    if (moved !== address) {
      this.#allocations++;
      this.#frees++;
    }
    this.#live.delete(address);
    expect(this.#live.has(moved)).toBe(false);
    this.#site.expectStamped(moved, Math.min(old.size, size), old.seed);
    expect(moved % (align ?? old.align)).toBe(0);
    // An alignment named later holds for that call; the first one's promise stays with the block.
    this.#stamp(moved, size, align === undefined ? old.align : Math.min(align, old.align));
  }

  #resize(address: Address, size: number): void {
    const old = this.#live.get(address)!;
    const usable = this.#allocator.sizeOf(address);
    const done = this.#allocator.resize(address, size);
    if (!done) expect(size).toBeGreaterThan(usable);
    const kept = done ? Math.min(old.size, size) : old.size;
    this.#site.expectStamped(address, kept, old.seed);
    if (done) this.#stamp(address, size, old.align);
  }

  #stamp(address: Address, size: number, align: number): void {
    const seed = ++this.#seed;
    expect(size).toBeLessThanOrEqual(this.#allocator.sizeOf(address));
    this.#site.stamp(address, size, seed);
    this.#live.set(address, { size, seed, align });
  }

  #withLive(pick: number, use: (address: Address) => void): void {
    const addresses = [...this.#live.keys()];
    if (addresses.length > 0) use(addresses[pick % addresses.length]!);
  }
}

function run(subject: Subject, site: Site, steps: readonly Step[]): void {
  const allocator = site.create(subject);
  const first = allocator.stats();
  const pair = new Pair(allocator, site);
  for (const step of steps) {
    pair.take(step);
    pair.check();
  }
  pair.freeAll();
  expectAllBack(allocator, first);
  site.expectGuardsWhole();
}

describe('random operations agree with a plain model', () => {
  const memory = Memory.create(MiB);
  test.each(subjects)('$name', (subject) => {
    const site = new Site(memory, subject.start);
    // A lock alone changes nothing that one thread sees; checks make each step's verify long.
    const isChecked = /checked|hardened/.test(subject.name);
    const numRuns = subject.wrapper === 'locked' ? 10 : isChecked ? 20 : 60;
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 120, size: 'max' }), (steps) =>
        run(subject, site, steps),
      ),
      { numRuns },
    );
  });
});
