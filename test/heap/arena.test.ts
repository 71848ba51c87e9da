/** Arenas: temporary blocks of one thread, given back together; scopes that see to it. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InvalidFreeError, OutOfMemoryError } from '../../src/errors.ts';
import type { Arena } from '../../src/heap/arena.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, KiB, NULL } from '../../src/memory/address.ts';
import { ref } from '../../src/structs/reference.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('Point', { x: f64, y: f64 });
const Link = struct('Link', { to: ref(Point), value: u32 });
let heap: Heap;

beforeEach(() => {
  heap = Heap.create({ byteLength: 512 * KiB, maxThreads: 2 });
});

afterEach(() => heap.detach());

/** An object with a `then`, function or not. */
function thenable(then: unknown): object {
  return Object.fromEntries([['then', then]]);
}

function expectEmpty(): void {
  heap.flush();
  heap.verify();
  expect(heap.stats()).toMatchObject({ used: 0, liveBlocks: 0 });
}

describe('an arena', () => {
  test('serves the bytes that it was made for, down to none, and no more', () => {
    for (const bytes of [0, 1, 8, 100, 4096, 100_000]) {
      const arena = heap.arena(bytes);
      const address = arena.alloc(bytes);
      expect(address, `${bytes} bytes`).not.toBe(NULL);
      heap.memory.u8.fill(0xee, address, address + bytes);
      expect(arena.alloc(64)).toBe(NULL);
      expect(arena.stats()).toMatchObject({ liveBlocks: 1, failures: 1 });
      heap.verify();
      arena.release();
    }
    expectEmpty();
  });

  test('is an allocator: zeroed, moved, resized, freed, listed, verified', () => {
    const arena = heap.arena(1000);
    const zeroed = arena.allocZeroed(40);
    expect(heap.memory.bytes(zeroed, 40).every((byte) => byte === 0)).toBe(true);
    const aligned = arena.alloc(10, 64);
    expect(aligned % 64).toBe(0);
    heap.memory.u8.fill(7, aligned, aligned + 10);
    const moved = arena.realloc(zeroed, 100);
    expect(arena.sizeOf(moved)).toBeGreaterThanOrEqual(100);
    expect(arena.resize(moved, 50)).toBe(true);
    arena.verify();
    expect([...arena.blocks()].filter(({ state }) => state === 'live').map(({ address }) => address)).toEqual(
      [aligned, moved],
    );
    arena.free(moved);
    expect(() => arena.free(moved)).toThrow(InvalidFreeError);
    arena.free(aligned);
    expect(arena.stats().used).toBe(0);
    arena.release();
    expectEmpty();
  });

  test('holds structs, which may point into the heap', () => {
    const arena = heap.arena(1000);
    const kept = heap.new(Point, { x: 3 });
    const link = arena.new(Link, { to: kept, value: 1 });
    expect(link.to!.x).toBe(3);
    expect(link.address).toBeGreaterThan(0);
    expect(arena.new(Point).x).toBe(0);
    arena.release();
    expect(kept.x).toBe(3);
    heap.delete(kept);
    expectEmpty();
  });

  test('gives back what came after a mark, again and again, and all by reset', () => {
    const arena = heap.arena(1000);
    const first = arena.alloc(40);
    const mark = arena.mark();
    for (let round = 0; round < 100; round++) {
      expect(arena.alloc(400)).not.toBe(NULL);
      expect(arena.alloc(400)).not.toBe(NULL);
      expect(arena.alloc(400)).toBe(NULL);
      arena.rewind(mark);
    }
    expect(arena.sizeOf(first)).toBe(40);
    expect(arena.stats().liveBlocks).toBe(1);
    arena.reset();
    expect(arena.stats().liveBlocks).toBe(0);
    expect(arena.alloc(1000)).not.toBe(NULL);
    expect(() => arena.rewind(7 as never)).toThrow(RangeError);
    arena.release();
  });

  test("is its thread's: its blocks cannot be shared, and it frees no others", () => {
    const arena = heap.arena(1000);
    expect(arena.tryShare(arena.alloc(40))).toBe(false);
    for (const address of [heap.alloc(8), heap.arena(100).alloc(8), heap.alloc(100_000)]) {
      expect(() => arena.free(address)).toThrow(InvalidFreeError);
    }
  });

  test('is one live block to the heap, and of no use once it is released; twice does no harm', () => {
    const arena = heap.arena(1000);
    expect(heap.stats().liveBlocks).toBe(1);
    const address = arena.alloc(8);
    arena.release();
    expect(heap.stats().liveBlocks).toBe(0);
    const uses: (() => unknown)[] = [
      () => arena.alloc(8),
      () => arena.allocZeroed(8),
      () => arena.realloc(address, 16),
      () => arena.resize(address, 16),
      () => arena.free(address),
      () => arena.sizeOf(address),
      () => arena.new(Point),
      () => arena.mark(),
      () => arena.rewind(0 as never),
      () => arena.reset(),
      () => arena.stats(),
      () => arena.blocks(),
      () => arena.verify(),
    ];
    for (const use of uses) expect(use, String(use)).toThrow(new ReferenceError('the arena was released'));
    arena.release();
    expectEmpty();
  });

  test('that finds no room in the heap is an OutOfMemoryError, a bad size a RangeError', () => {
    expect(() => heap.arena(512 * KiB)).toThrow(OutOfMemoryError);
    expect(() => heap.arena(512 * KiB)).toThrow('an arena needs one block');
    for (const bytes of [-1, 1.5, Number.NaN, 2 ** 32, '100', undefined]) {
      expect(() => heap.arena(bytes as never), String(bytes)).toThrow(RangeError);
    }
    expectEmpty();
  });

  test('is released by `using`, where the runtime has it', () => {
    expect(Symbol.dispose).toBeDefined();
    const arena = heap.arena(100);
    arena[Symbol.dispose]();
    expect(() => arena.alloc(8)).toThrow(ReferenceError);
    expectEmpty();
  });
});

describe('a scope', () => {
  test('returns what its function returns, and releases the arena', () => {
    let escaped: Arena | undefined;
    const sum = heap.scope((arena) => {
      escaped = arena;
      const points = Array.from({ length: 100 }, (_, i) => arena.new(Point, { x: i }));
      return points.reduce((total, point) => total + point.x, 0);
    });
    expect(sum).toBe(4950);
    expect(() => escaped!.alloc(8)).toThrow(ReferenceError);
    expectEmpty();
  });

  test('releases the arena when its function throws, and passes the error on', () => {
    const error = new Error('in the scope');
    expect(() =>
      heap.scope((arena) => {
        arena.alloc(100);
        throw error;
      }),
    ).toThrow(error);
    expectEmpty();
  });

  test('refuses a promise, or anything with a then, and releases the arena', () => {
    const results: (() => unknown)[] = [async () => 1, () => Promise.resolve(), () => thenable(() => {})];
    for (const run of results) {
      expect(() => heap.scope(run)).toThrow(TypeError);
      expect(() => heap.scope(run)).toThrow('using arena = heap.arena(bytes)');
    }
    for (const value of [undefined, null, 0, '', false, thenable(1)])
      expect(heap.scope(() => value)).toBe(value);
    expectEmpty();
  });

  test('has 64 KiB unless it is told otherwise', () => {
    heap.scope((arena) => {
      expect(arena.alloc(64 * KiB)).not.toBe(NULL);
      expect(arena.alloc(100)).toBe(NULL);
    });
    heap.scope((arena) => expect(arena.alloc(100)).not.toBe(NULL), 100);
    expect(() => heap.scope(() => expect.fail('ran'), 512 * KiB)).toThrow(OutOfMemoryError);
    expect(() => heap.scope(() => expect.fail('ran'), Number.NaN)).toThrow(RangeError);
    expectEmpty();
  });

  test('may be nested, and release its arena early', () => {
    const outer = heap.scope((one) => {
      const a = one.new(Point, { x: 1 });
      return heap.scope((two) => {
        const b = two.new(Point, { x: a.x + 1 });
        const result = b.x + a.x;
        two.release();
        return result;
      });
    });
    expect(outer).toBe(3);
    expectEmpty();
  });

  test('serves temporary data beside permanent data of the heap', () => {
    const kept: Address[] = [];
    for (let round = 0; round < 50; round++) {
      heap.scope((arena) => {
        for (let i = 0; i < 20; i++) arena.alloc(100);
        kept.push(heap.alloc(64));
      });
    }
    expect(heap.stats().liveBlocks).toBe(50);
    for (const address of kept) heap.free(address);
    expectEmpty();
  });
});
