/**
 * Many spans: `claim` takes bytes anywhere, spans that touch merge, what lies between them is never
 * touched; `extend` and `truncate` move the upper end. Random claims run beside a plain model.
 */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { InvalidFreeError } from '../../src/errors.ts';
import { type Address, KiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { expectAllBack, fillUp } from './conformance.ts';

const START = 64 * KiB;
const BYTES = 16 * KiB;
const END = START + BYTES;
/** Where the control block ends and the first span starts. */
const FIRST = START + 3368;
const GUARD = 0xc3;

function create(): TlsfAllocator {
  const memory = Memory.create(256 * KiB);
  memory.u8.fill(GUARD);
  return TlsfAllocator.create(memory, { start: START, byteLength: BYTES });
}

/** The bytes of [from, to) are as nobody has touched them. */
function expectUntouched(allocator: TlsfAllocator, from: number, to: number): void {
  const bytes = allocator.memory.u8.subarray(from, to);
  expect(
    bytes.every((byte) => byte === GUARD),
    `${from} to ${to} was written`,
  ).toBe(true);
}

/** The free blocks, as [first byte of the block, one past its last byte]. */
function freeSpans(allocator: TlsfAllocator): [number, number][] {
  return [...allocator.blocks()]
    .filter(({ state }) => state === 'free')
    .map(({ address, size }) => [address - 8, address + size]);
}

test('the first span starts where the test thinks it does', () => {
  expect(freeSpans(create())).toEqual([[FIRST, END - 8]]);
});

describe('claim', () => {
  test('above, with a gap: a second span, and the gap stays as it was', () => {
    const allocator = create();
    expect(allocator.claim(END + 4096, 8192)).toBe(true);
    allocator.verify();
    expect(freeSpans(allocator)).toEqual([
      [FIRST, END - 8],
      [END + 4096, END + 4096 + 8192 - 8],
    ]);
    expect(allocator.stats().capacity).toBe(BYTES + 8192);
    const all = [...fillUp(allocator, 1000), ...fillUp(allocator, 1)];
    for (const address of all) allocator.memory.u8.fill(0, address, address + allocator.sizeOf(address));
    expectUntouched(allocator, END, END + 4096);
    expectUntouched(allocator, END + 4096 + 8192, 256 * KiB);
    for (const address of all) allocator.free(address);
    allocator.verify();
    expect(freeSpans(allocator)).toHaveLength(2);
  });

  test('below the control block: a span there, and the control block is not part of any', () => {
    const allocator = create();
    expect(allocator.claim(4096, 8192)).toBe(true);
    allocator.verify();
    expect(freeSpans(allocator)).toEqual([
      [4096, 4096 + 8192 - 8],
      [FIRST, END - 8],
    ]);
    const low = allocator.alloc(8000);
    expect(low).toBe(4096 + 8);
    expectUntouched(allocator, 4096 + 8192, START);
    expectUntouched(allocator, 0, 4096);
    allocator.free(low);
    expect(() => allocator.free((START + 8) as Address)).toThrow(InvalidFreeError);
    expect(() => allocator.free((4096 + 8192 + 64) as Address)).toThrow(InvalidFreeError);
  });

  test('right up to the control block, and from address 0, where no block can start', () => {
    const allocator = create();
    expect(allocator.claim(0, START)).toBe(true);
    allocator.verify();
    expect(freeSpans(allocator)[0]).toEqual([8, START - 8]);
    const all = fillUp(allocator, 100);
    expect(all).not.toContain(NULL);
    expect(allocator.stats().capacity).toBe(BYTES + START - 8);
    allocator.verify();
  });

  test('with a gap of 8 bytes, the smallest there can be, above and below', () => {
    const allocator = create();
    expect(allocator.claim(END + 8, 4096)).toBe(true);
    expect(allocator.claim(START - 4096 - 8, 4096)).toBe(true);
    allocator.verify();
    expect(freeSpans(allocator)).toHaveLength(3);
    for (const address of fillUp(allocator, 100)) allocator.free(address);
    allocator.verify();
    expectUntouched(allocator, END, END + 8);
    expectUntouched(allocator, START - 8, START);
    expect(allocator.claim(END, 8)).toBe(true);
    allocator.verify();
    expect(freeSpans(allocator)).toHaveLength(2);
  });

  test('inside a gap: beside either end, in the middle, and all of it', () => {
    const gap = [END, END + 32 * KiB] as const;
    for (const [from, to, spans] of [
      [gap[0], gap[0] + 8192, 2],
      [gap[1] - 8192, gap[1], 2],
      [gap[0] + 8192, gap[0] + 16 * KiB, 3],
      [gap[0], gap[1], 1],
    ] as const) {
      const allocator = create();
      expect(allocator.claim(gap[1], 8192)).toBe(true);
      expect(allocator.claim(from, to - from)).toBe(true);
      allocator.verify();
      expect(freeSpans(allocator)).toHaveLength(spans);
      expect(allocator.stats().capacity).toBe(BYTES + 8192 + to - from);
      expect(allocator.stats().largestFree).toBeGreaterThanOrEqual(to - from - 16);
      expectUntouched(allocator, gap[0] + 8, from);
      expectUntouched(allocator, to, gap[1]);
    }
  });

  test('spans that touch merge, whichever comes first, with live blocks at the seams', () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2],
      [0, 2, 1],
    ]) {
      const allocator = create();
      const kept: Address[] = [];
      for (const index of order) {
        expect(allocator.claim(END + index * 4096, 4096)).toBe(true);
        allocator.verify();
        kept.push(allocator.alloc(500));
      }
      for (const address of kept) allocator.free(address);
      allocator.verify();
      expect(freeSpans(allocator)).toEqual([[FIRST, END + 3 * 4096 - 8]]);
      const all = allocator.alloc(allocator.stats().largestFree);
      expect(all).toBe(FIRST + 8);
    }
  });

  test('merges with a free block at the seam, and leaves a live one there', () => {
    const allocator = create();
    const live = allocator.alloc(allocator.stats().largestFree);
    expect(allocator.claim(END, 4096)).toBe(true);
    expect(freeSpans(allocator)).toEqual([[END - 8, END + 4096 - 8]]);
    allocator.free(live);
    expect(freeSpans(allocator)).toEqual([[FIRST, END + 4096 - 8]]);
    allocator.verify();
  });

  test('odd starts and lengths lose their odd ends', () => {
    const allocator = create();
    expect(allocator.claim(END + 4097, 4099)).toBe(true);
    expect(freeSpans(allocator)[1]).toEqual([END + 4104, END + 8192 - 8]);
    allocator.verify();
    expectUntouched(allocator, END, END + 4104);
    expectUntouched(allocator, END + 8192, END + 16 * KiB);
  });

  test.each<[string, number, number]>([
    ['nothing', END, 0],
    ['less than a unit', END, 7],
    ['less than a block and a marker', END + 4096, 24],
    ['more than the memory has', END, 256 * KiB],
    ['an end above every address', 2 ** 53 - 8, 8],
    ['what it has', FIRST, 4096],
    ['what it has and more above', END - 64, 4096],
    ['what it has and more below', FIRST - 64, 4096],
    ['its control block', START, 64],
    ['a part of its control block', START + 1024, 64],
    ['bytes up into its control block', START - 64, 72],
    ['everything', 0, 256 * KiB],
    ['its last bytes', END - 8, 8],
    ['its last bytes and one block', END - 8, 64],
  ])('of %s is refused without a byte written', (_, start, bytes) => {
    const allocator = create();
    const before = Buffer.from(allocator.memory.u8);
    expect(allocator.claim(start, bytes)).toBe(false);
    expect(before.equals(allocator.memory.u8)).toBe(true);
    allocator.verify();
  });

  test("of a second span's bytes, or bytes that reach into it, is refused", () => {
    const allocator = create();
    expect(allocator.claim(END + 4096, 4096)).toBe(true);
    const before = Buffer.from(allocator.memory.u8);
    for (const [from, to] of [
      [END + 4096, END + 8192],
      [END + 4000, END + 4200],
      [END + 8000, END + 9000],
      [END + 5000, END + 6000],
      [END + 8184, END + 8192],
      [END, END + 16 * KiB],
      [END - 8, END + 64],
      [END - 8, END + 4096],
      [START - 1000, END + 5000],
    ] as const) {
      expect(allocator.claim(from, to - from), `${from} to ${to}`).toBe(false);
    }
    expect(before.equals(allocator.memory.u8)).toBe(true);
    allocator.verify();
  });

  test('the least that is taken: a block and a marker alone, a unit beside a free block', () => {
    const allocator = create();
    expect(allocator.claim(END + 4096, 32)).toBe(true);
    expect(freeSpans(allocator)[1]).toEqual([END + 4096, END + 4120]);
    expect(allocator.claim(END + 4128, 8)).toBe(true);
    expect(freeSpans(allocator)[1]).toEqual([END + 4096, END + 4128]);
    const live = allocator.alloc(24);
    expect(live).toBe(END + 4104);
    expect(allocator.claim(END + 4136, 16), 'too small for a block of its own beside a live one').toBe(false);
    expect(allocator.claim(END + 4136, 24)).toBe(true);
    allocator.free(live);
    allocator.verify();
    expect(freeSpans(allocator)[1]).toEqual([END + 4096, END + 4152]);
  });

  test('start and bytes are integers from 0 up', () => {
    const allocator = create();
    for (const value of [-8, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '8', undefined]) {
      expect(() => allocator.claim(value as number, 4096), String(value)).toThrow(RangeError);
      expect(() => allocator.claim(END, value as number), String(value)).toThrow(RangeError);
    }
  });

  test('a later attach sees all spans', () => {
    const allocator = create();
    allocator.claim(END + 4096, 4096);
    allocator.claim(4096, 4096);
    const kept = fillUp(allocator, 1000);
    const later = TlsfAllocator.attach(Memory.attach(allocator.memory.buffer), START);
    expect([...later.blocks()]).toEqual([...allocator.blocks()]);
    for (const address of kept) later.free(address);
    later.verify();
    expect(later.claim(END, 4096)).toBe(true);
    allocator.verify();
    expect(freeSpans(allocator)).toHaveLength(2);
  });
});

describe('extend and truncate', () => {
  test('undo each other, bit by bit and at once', () => {
    const allocator = create();
    const first = allocator.stats();
    for (const bytes of [8, 16, 24, 1000, 8192]) {
      expect(allocator.extend(bytes)).toBe(true);
      allocator.verify();
      expect(allocator.stats().capacity).toBe(first.capacity + bytes);
      expect(allocator.truncate(bytes)).toBe(true);
      allocator.verify();
      expect(allocator.stats()).toEqual(first);
    }
    for (let i = 0; i < 100; i++) expect(allocator.extend(40)).toBe(true);
    for (let i = 0; i < 50; i++) expect(allocator.truncate(80)).toBe(true);
    expectAllBack(allocator, first);
    expectUntouched(allocator, END + 8192, 256 * KiB);
  });

  test('truncate takes what is free at the end alone', () => {
    const allocator = create();
    const before = allocator.stats();
    expect(allocator.truncate(0)).toBe(false);
    expect(allocator.truncate(7)).toBe(false);
    expect(allocator.truncate(BYTES)).toBe(false);
    expect(allocator.truncate(2 ** 40)).toBe(false);
    const large = allocator.alloc(before.largestFree - 1000);
    expect(allocator.truncate(1008)).toBe(false);
    expect(allocator.truncate(992), 'a crumb would be left that is no block').toBe(false);
    expect(allocator.truncate(500)).toBe(true);
    allocator.verify();
    const rest = allocator.stats().largestFree;
    expect(allocator.truncate(rest + 8), 'all that is left').toBe(true);
    expect(allocator.stats()).toMatchObject({ largestFree: 0, free: 0 });
    allocator.verify();
    expect(allocator.truncate(8)).toBe(false);
    expect(allocator.extend(504)).toBe(true);
    allocator.free(large);
    allocator.verify();
    for (const value of [-8, 1.5, Number.NaN, '8', undefined]) {
      expect(() => allocator.truncate(value as number), String(value)).toThrow(RangeError);
    }
  });

  test('a truncated end can be claimed again, or belong to somebody else', () => {
    const allocator = create();
    expect(allocator.truncate(8192)).toBe(true);
    allocator.memory.u8.fill(GUARD, END - 8192, END);
    const all = [...fillUp(allocator, 500), ...fillUp(allocator, 1)];
    expectUntouched(allocator, END - 8192, END);
    for (const address of all) allocator.free(address);
    expect(allocator.claim(END - 8192, 8192)).toBe(true);
    allocator.verify();
    expect(freeSpans(allocator)).toEqual([[FIRST, END - 8]]);
  });

  test('everything can be given back, and taken again', () => {
    const allocator = create();
    const { capacity, free } = allocator.stats();
    expect(allocator.truncate(free + 8)).toBe(true);
    allocator.verify();
    expect(allocator.alloc(0)).toBe(NULL);
    expect([...allocator.blocks()]).toEqual([]);
    expect(allocator.extend(16)).toBe(false);
    expect(allocator.extend(free + 8)).toBe(true);
    allocator.verify();
    expect(allocator.stats()).toMatchObject({ capacity, free });
  });

  test('a whole span that goes leaves the gap below it to the next claim', () => {
    const allocator = create();
    expect(allocator.claim(END + 4096, 4096)).toBe(true);
    const { size } = [...allocator.blocks()].at(-1)!;
    expect(allocator.truncate(size + 8)).toBe(true);
    allocator.verify();
    expect(freeSpans(allocator)).toEqual([[FIRST, END - 8]]);
    expect(allocator.claim(END, 4096)).toBe(true);
    allocator.verify();
    expect(allocator.claim(END + 8192, 4096)).toBe(true);
    allocator.verify();
    for (const address of fillUp(allocator, 100)) allocator.free(address);
    allocator.verify();
  });
});

describe('random claims, truncations, allocations and frees agree with a plain model', () => {
  const PAGE = 512;
  const PAGES = (256 * KiB) / PAGE;
  type Step =
    | { readonly do: 'claim'; readonly page: number; readonly pages: number }
    | { readonly do: 'extend' | 'truncate'; readonly pages: number }
    | { readonly do: 'alloc'; readonly size: number; readonly align: number }
    | { readonly do: 'free'; readonly pick: number };
  const pages = fc.integer({ min: 1, max: 24 });
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('claim'), page: fc.nat(PAGES), pages }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('extend', 'truncate'), pages }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('alloc'),
        size: fc.oneof(fc.nat(300), fc.nat(9000)),
        align: fc.constantFrom(8, 8, 8, 64, 1024),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('free'), pick: fc.nat(1000) }) },
  );

  /** Which pages belong to whom: the allocator's own at first, and the bytes of `live` in them. */
  class Model {
    readonly owned = new Set<number>();
    readonly live = new Map<Address, number>();
    readonly allocator = create();

    constructor() {
      for (let page = START / PAGE; page < END / PAGE; page++) this.owned.add(page);
    }

    take(step: Step): void {
      if (step.do === 'claim')
        this.#claim(step.page, step.pages, this.allocator.claim(step.page * PAGE, step.pages * PAGE));
      else if (step.do === 'extend')
        this.#claim(this.#end(), step.pages, this.allocator.extend(step.pages * PAGE));
      else if (step.do === 'truncate') this.#truncate(step.pages);
      else if (step.do === 'alloc') this.#alloc(step.size, step.align);
      else if (step.do === 'free') this.#free(step.pick);
    }

    #end(): number {
      return Math.max(...this.owned) + 1;
    }

    #claim(page: number, count: number, done: boolean): void {
      const wanted = Array.from({ length: count }, (_, i) => page + i);
      const free = wanted.every((one) => one < PAGES && !this.owned.has(one));
      expect(done).toBe(free);
      if (done) for (const one of wanted) this.owned.add(one);
    }

    #truncate(count: number): void {
      const end = this.#end();
      if (!this.allocator.truncate(count * PAGE)) return;
      for (let page = end - count; page < end; page++) {
        expect(this.owned.delete(page)).toBe(true);
        this.allocator.memory.u8.fill(GUARD, page * PAGE, (page + 1) * PAGE);
      }
    }

    #alloc(size: number, align: number): void {
      const address = this.allocator.alloc(size, align);
      if (address === NULL) return;
      expect(address % align).toBe(0);
      const usable = this.allocator.sizeOf(address);
      for (let page = Math.floor((address - 8) / PAGE); page * PAGE < address + usable; page++) {
        expect(this.owned.has(page), `page ${page} of ${address}`).toBe(true);
      }
      this.live.set(address, usable);
      this.allocator.memory.u8.fill(7, address, address + usable);
    }

    #free(pick: number): void {
      const address = [...this.live.keys()][pick % Math.max(1, this.live.size)];
      if (address === undefined) return;
      this.allocator.free(address);
      this.live.delete(address);
    }

    check(): void {
      this.allocator.verify();
      const { u8 } = this.allocator.memory;
      for (let page = 0; page < PAGES; page++) {
        if (this.owned.has(page)) continue;
        const untouched = u8.subarray(page * PAGE, (page + 1) * PAGE).every((byte) => byte === GUARD);
        expect(untouched, `page ${page} is nobody's`).toBe(true);
      }
      for (const [address, usable] of this.live) {
        expect(u8.subarray(address, address + usable).every((byte) => byte === 7)).toBe(true);
      }
      const used = [...this.live.values()].reduce((sum, size) => sum + size, 0);
      expect(this.allocator.stats()).toMatchObject({ used, liveBlocks: this.live.size });
    }

    freeAll(): void {
      for (const address of this.live.keys()) this.allocator.free(address);
      this.live.clear();
      this.check();
      // One free block for each run of pages; the run with the control block in it starts behind it.
      const runs = [...this.owned].filter((page) => !this.owned.has(page - 1)).length;
      expect(freeSpans(this.allocator).length).toBeLessThanOrEqual(runs + 1);
      expect(this.allocator.stats().capacity).toBe(this.owned.size * PAGE - (this.owned.has(0) ? 8 : 0));
    }
  }

  test('page by page', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), (steps) => {
        const model = new Model();
        for (const one of steps) {
          model.take(one);
          model.check();
        }
        model.freeAll();
      }),
      { numRuns: 60 },
    );
  });
});
