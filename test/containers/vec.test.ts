/** SharedVec: against arrays, with random operations; growth, order, refusals; nothing is left behind. */

import { inspect } from 'node:util';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { string } from '../../src/containers/string.ts';
import { SharedVec, type VecHandle } from '../../src/containers/vec.ts';
import { vec } from '../../src/containers/vec-field.ts';
import { AttachError, OutOfMemoryError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { KiB, MiB, NULL } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import type { Field } from '../../src/structs/field.ts';
import { oneOf } from '../../src/structs/one-of.ts';
import { ref } from '../../src/structs/reference.ts';
import { bool, f64, i64, u8, u16, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('Point', { x: f64, y: f64 });
const Pet = struct('Pet', { id: u16, name: string });

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 8 * MiB });
  return () => {
    heap.verify();
    heap.detach();
  };
});
const live = (): number => heap.stats().liveBlocks;

// Twins -------------------------------------------------------------------------------------------------

interface Twin {
  readonly field: Field;
  readonly values: fc.Arbitrary<unknown>;
  readonly order: (a: never, b: never) => number;
}

const word = fc.string({ unit: 'grapheme', maxLength: 8 });
const twins: Record<string, Twin> = {
  f64: { field: f64, values: fc.double({ noNaN: true }), order: (a: number, b: number) => a - b },
  u8: { field: u8, values: fc.integer({ min: 0, max: 255 }), order: (a: number, b: number) => a - b },
  i64: {
    field: i64,
    values: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    order: (a: bigint, b: bigint) => Number(a > b) - Number(a < b),
  },
  bool: { field: bool, values: fc.boolean(), order: (a: boolean, b: boolean) => Number(a) - Number(b) },
  string: { field: string, values: word, order: (a: string, b: string) => Number(a > b) - Number(a < b) },
  struct: {
    field: Pet,
    values: fc.record({ id: fc.integer({ min: 0, max: 65_535 }), name: word }, { noNullPrototype: true }),
    order: (a: { id: number }, b: { id: number }) => a.id - b.id,
  },
  vec: {
    field: vec(string),
    values: fc.array(word, { maxLength: 3 }),
    order: (a: { length: number }, b: { length: number }) => a.length - b.length,
  },
};

type Step =
  | { readonly act: 'push' | 'insert' | 'set'; readonly at: number; readonly value: unknown }
  | { readonly act: 'extend'; readonly values: readonly unknown[] }
  | { readonly act: 'remove' | 'swapRemove' | 'truncate' | 'reserve'; readonly at: number }
  | { readonly act: 'pop' | 'clear' | 'shrink' | 'sort' };

function steps(values: fc.Arbitrary<unknown>): fc.Arbitrary<Step[]> {
  const at = fc.nat(40);
  const one = <A extends string>(...acts: A[]) => fc.constantFrom(...acts);
  return fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ act: one('push', 'insert', 'set'), at, value: values }) },
      { weight: 2, arbitrary: fc.record({ act: one('extend'), values: fc.array(values, { maxLength: 9 }) }) },
      { weight: 4, arbitrary: fc.record({ act: one('remove', 'swapRemove', 'truncate', 'reserve'), at }) },
      { weight: 2, arbitrary: fc.record({ act: one('pop', 'shrink', 'sort', 'clear') }) },
    ),
    { maxLength: 40 },
  );
}

/** What `pop` and `remove` give: an owned vec is moved out, all else is plain. */
function plain(value: unknown): unknown {
  if (!(value instanceof SharedVec)) return value;
  const elements = value.toArray();
  value.destroy();
  return elements;
}

/** Does the same to both; gives what both answered. */
function apply(vec: SharedVec<Field>, twin: unknown[], step: Step, order: Twin['order']): [unknown, unknown] {
  const { length } = twin;
  switch (step.act) {
    case 'push':
      return [vec.push(step.value as never), twin.push(step.value)];
    case 'extend':
      return [vec.extend(step.values as never), twin.push(...step.values)];
    case 'insert': {
      const index = step.at % (length + 1);
      twin.splice(index, 0, step.value);
      return [vec.insert(index, step.value as never), twin.length];
    }
    case 'pop':
      return [plain(vec.pop()), twin.pop()];
    case 'truncate':
      twin.length = Math.min(length, step.at);
      return [vec.truncate(step.at), undefined];
    case 'reserve':
      return [vec.reserve(step.at), undefined];
    case 'clear':
    case 'shrink':
      if (step.act === 'clear') twin.length = 0;
      return [vec[step.act](), undefined];
    case 'sort':
      twin.sort(order as never);
      return [vec.sort(order as never).length, length];
    default:
      return length === 0 ? [0, 0] : applyAt(vec, twin, step as never);
  }
}

function applyAt(
  vec: SharedVec<Field>,
  twin: unknown[],
  step: { readonly act: 'set' | 'remove' | 'swapRemove'; readonly at: number; readonly value: unknown },
): [unknown, unknown] {
  const { length } = twin;
  const index = step.at % length;
  if (step.act === 'set') {
    twin[index] = step.value;
    return [vec.set(index - length, step.value as never), undefined];
  }
  const removed = twin[index];
  if (step.act === 'remove') twin.splice(index, 1);
  else if (index === length - 1) twin.pop();
  else twin[index] = twin.pop();
  return [plain(vec[step.act](index)), removed];
}

describe.each(Object.entries(twins))('a vec of %s', (_name, { field, values, order }) => {
  test('does what an array does, and leaves nothing', () => {
    const before = live();
    SharedVec.create(heap, field).destroy();
    const layouts = live();
    expect(layouts - before).toBeLessThanOrEqual(1);
    fc.assert(
      fc.property(steps(values), (list) => {
        const made = SharedVec.create(heap, field);
        const twin: unknown[] = [];
        for (const step of list) {
          const [got, wanted] = apply(made, twin, step, order);
          expect(got).toEqual(wanted);
          expect(made.length).toBe(twin.length);
          expect(made.capacity).toBeGreaterThanOrEqual(twin.length);
        }
        expect(made.toArray()).toEqual(twin);
        twin.forEach((_, index) => {
          if (field !== Pet) expect(plainAt(made, index)).toEqual(twin[index]);
        });
        made.destroy();
        expect(live()).toBe(layouts);
      }),
    );
  });
});

function plainAt(made: SharedVec<Field>, index: number): unknown {
  const value: unknown = made.at(index);
  return value instanceof SharedVec ? value.toArray() : value;
}

// Indexes -----------------------------------------------------------------------------------------------

describe('indexes', () => {
  test('below 0 count from the end; others throw', () => {
    const made = SharedVec.create(heap, f64, [1, 2, 3]);
    expect([made.at(0), made.at(-1), made.at(-3), made.at(-0)]).toEqual([1, 3, 1, 1]);
    for (const index of [3, -4, 1.5, Number.NaN, 2 ** 32, '1' as never]) {
      expect(() => made.at(index)).toThrow(RangeError);
      expect(() => made.set(index, 1)).toThrow(RangeError);
      expect(() => made.remove(index)).toThrow(RangeError);
      expect(() => made.swapRemove(index)).toThrow(RangeError);
    }
    made.insert(-1, 9);
    made.insert(4, 10);
    expect(made.toArray()).toEqual([1, 2, 9, 3, 10]);
    expect(() => made.insert(6, 0)).toThrow('the vec of f64 has indexes 0 to 4; got 6');
    made.destroy();
  });

  test('of an empty vec are none', () => {
    const made = SharedVec.create(heap, string);
    expect(made.pop()).toBeUndefined();
    expect(() => made.at(0)).toThrow('the vec of string has no elements; got 0');
    expect(() => made.set(-1, 'x')).toThrow(RangeError);
    expect([...made]).toEqual([]);
    expect(made.toArray()).toEqual([]);
    made.destroy();
    expect(live()).toBe(0);
  });
});

// Structs -----------------------------------------------------------------------------------------------

describe('of structs', () => {
  test('at gives views, or moves one', () => {
    const points = SharedVec.create(heap, Point, [{ x: 1, y: 2 }, { x: 3 }]);
    const view = points.at(0);
    expect(points.at(1, view)).toBe(view);
    expect(view.x).toBe(3);
    view.y = 4;
    expect(points.toArray()).toEqual([
      { x: 1, y: 2 },
      { x: 3, y: 4 },
    ]);
    expect(Array.from(points, (point) => point.x)).toEqual([1, 3]);
    expect(() => points.at(0, heap.new(Pet) as never)).toThrow(/takes a view of Point.*a view of Pet/);
    expect(() => points.at(0, {} as never)).toThrow(TypeError);
    expect(() => SharedVec.create(heap, f64, [1]).at(0, view as never)).toThrow(TypeError);
    points.destroy();
  });

  test('set replaces the whole, and drops what was owned', () => {
    const pets = SharedVec.create(heap, Pet, [{ id: 1, name: 'Rex' }]);
    const before = live();
    pets.set(0, { id: 2 });
    expect(pets.toArray()).toEqual([{ id: 2, name: '' }]);
    expect(live()).toBe(before - 1);
    pets.push(pets.at(0), { name: 'Mia' });
    expect(pets.pop()).toEqual({ id: 0, name: 'Mia' });
    expect(live()).toBe(before - 1);
    pets.destroy();
  });

  test('views and cells in them work', () => {
    const Link = struct('Link', { to: ref(Point), corners: array(f64, 2), kind: oneOf('a', 'b') });
    const point = heap.new(Point, { x: 5 });
    const links = SharedVec.create(heap, Link, [{ to: point, corners: [1, 2], kind: 'b' }]);
    expect(links.at(0).to!.x).toBe(5);
    expect(links.toJSON()).toEqual([{ to: point.address, corners: [1, 2], kind: 'b' }]);
    links.destroy();
  });
});

// Room --------------------------------------------------------------------------------------------------

describe('room', () => {
  test('is made by doubling, in place where the heap has room behind', () => {
    const made = SharedVec.create(heap, u32);
    expect(made.capacity).toBe(0);
    const capacities = new Set<number>();
    for (let i = 0; i < 100_000; i++) {
      made.push(i);
      capacities.add(made.capacity);
    }
    expect(capacities.size).toBeLessThan(24);
    expect(made.at(77_777)).toBe(77_777);
    made.truncate(10);
    made.shrink();
    expect(made.capacity).toBeLessThan(100);
    expect(made.toArray()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    made.clear();
    made.shrink();
    expect(made.capacity).toBe(0);
    expect(live()).toBe(1);
    made.destroy();
    heap.flush();
    expect(heap.stats().used).toBe(0);
  });

  test('is reserved once', () => {
    const made = SharedVec.create(heap, Point, { capacity: 100 });
    const { capacity } = made;
    expect(capacity).toBeGreaterThanOrEqual(100);
    made.push({ x: 1 });
    const view = made.at(0);
    for (let i = 1; i < 100; i++) made.push({ x: i });
    expect(made.capacity).toBe(capacity);
    expect(view.x).toBe(1);
    made.reserve(10);
    expect(made.capacity).toBe(capacity);
    for (const wrong of [-1, 1.5, Number.NaN, 'x' as never]) {
      expect(() => made.reserve(wrong)).toThrow(RangeError);
      expect(() => made.truncate(wrong)).toThrow(RangeError);
    }
    made.destroy();
  });

  test('that is not there leaves all as it was', () => {
    const made = SharedVec.create(heap, string, ['a', 'b']);
    const before = live();
    expect(() => made.reserve(2 ** 40)).toThrow(OutOfMemoryError);
    expect(() => made.reserve(3 * MiB)).toThrow(OutOfMemoryError);
    expect(() => made.extend(Array.from({ length: 100 }, () => 'x'.repeat(MiB / 4)))).toThrow(
      OutOfMemoryError,
    );
    expect(() => made.push('x'.repeat(8 * MiB))).toThrow(OutOfMemoryError);
    expect(made.toArray()).toEqual(['a', 'b']);
    expect(live()).toBe(before);
    expect(() => SharedVec.create(heap, f64, { capacity: 2 * MiB })).toThrow(OutOfMemoryError);
    expect(live()).toBe(before);
    made.destroy();
    expect(live()).toBe(0);
  });

  test('may be made by a handler that changes the very vec', () => {
    const cache = SharedVec.create(heap, string);
    heap.onExhausted(() => {
      if (cache.length === 0) return false;
      cache.clear();
      cache.shrink();
      return true;
    });
    let most = 0;
    for (let i = 0; i < 4000; i++) {
      cache.push(`${i} `.repeat(1500));
      most = Math.max(most, cache.length);
    }
    expect(most).toBeLessThan(4000);
    expect(cache.at(-1)).toBe('3999 '.repeat(1500));
    cache.destroy();
    heap.flush();
    expect(heap.stats().used).toBe(0);
  });
});

// Order -------------------------------------------------------------------------------------------------

describe('sort', () => {
  test('orders numbers by value, and anything by a function; it is stable', () => {
    const numbers = SharedVec.create(heap, f64, [10, 9, Number.NaN, -1, 1]);
    expect(numbers.sort().toArray()).toEqual([-1, 1, 9, 10, Number.NaN]);
    expect(numbers.sort((a, b) => b - a || 0).length).toBe(5);
    const pets = SharedVec.create(
      heap,
      Pet,
      Array.from({ length: 50 }, (_, i) => ({ id: i % 5, name: `pet ${i}` })),
    );
    pets.sort((a, b) => a.id - b.id);
    expect(pets.toArray().map(({ name }) => Number(name.slice(4)))).toEqual(
      Array.from({ length: 50 }, (_, i) => (i % 10) * 5 + Math.floor(i / 10)),
    );
    expect(() => pets.sort()).toThrow(/needs a function that compares/);
    numbers.destroy();
    pets.destroy();
    expect(live()).toBe(0);
  });

  test('moves nothing when the function throws or changes the vec', () => {
    const words = SharedVec.create(heap, string, ['c', 'b', 'a']);
    const failing = () => {
      throw new Error('no order');
    };
    expect(() => words.sort(failing)).toThrow('no order');
    const growing = (a: string, b: string) => {
      words.push('d');
      return a < b ? -1 : 1;
    };
    expect(() => words.sort(growing)).toThrow(/changed while it was sorted/);
    expect(words.toArray().slice(0, 3)).toEqual(['c', 'b', 'a']);
    words.destroy();
    expect(live()).toBe(0);
  });
});

// What callers run in between -----------------------------------------------------------------------------

describe("the caller's own code", () => {
  test('may push from a getter of what is pushed', () => {
    const points = SharedVec.create(heap, Point);
    const nested = {
      get x() {
        for (let i = 0; i < 20; i++) points.push({ x: i });
        return 99;
      },
    };
    points.push(nested);
    points.insert(0, nested);
    points.set(0, nested);
    expect(points.length).toBe(62);
    expect(points.at(0).x).toBe(99);
    expect(points.toArray().filter(({ x }) => x === 99)).toHaveLength(2);
    points.destroy();
    expect(live()).toBe(0);
  });

  test('may shorten the vec from there: then there is no such element', () => {
    const pets = SharedVec.create(heap, Pet, [{ id: 1 }, { id: 2, name: 'two' }]);
    const clearing = {
      name: 'three',
      get id() {
        pets.clear();
        return 3;
      },
    };
    expect(() => pets.set(1, clearing)).toThrow(RangeError);
    expect(pets.length).toBe(0);
    pets.destroy();
    expect(live()).toBe(0);
  });

  test('may throw in the middle of extend: nothing was appended', () => {
    const words = SharedVec.create(heap, string, ['a']);
    function* failing() {
      yield 'b';
      yield 'c';
      throw new Error('no more');
    }
    expect(() => words.extend(failing())).toThrow('no more');
    expect(() => words.extend(['x', 5 as never])).toThrow('string takes a string, got 5');
    expect(() => words.push('x', 5 as never)).toThrow(TypeError);
    expect(() => words.extend(5 as never)).toThrow('a vec of string takes an iterable, got 5');
    expect(words.toArray()).toEqual(['a']);
    expect(words.extend(words)).toBe(2);
    words.destroy();
    expect(live()).toBe(0);
  });
});

// Typed arrays ----------------------------------------------------------------------------------------

describe('typed arrays', () => {
  test('lie over the elements', () => {
    const made = SharedVec.create(heap, u32, new Uint32Array([1, 2, 3]));
    const window = made.asTypedArray();
    expect(window).toEqual(new Uint32Array(new SharedArrayBuffer(12)).fill(0).map((_, i) => i + 1));
    window[1] = 7;
    expect(made.at(1)).toBe(7);
    expect(made.extend(window)).toBe(6);
    expect(made.extend(made)).toBe(12);
    expect(made.extend(new Uint8Array([9]))).toBe(13);
    expect(made.toArray()).toEqual([1, 7, 3, 1, 7, 3, 1, 7, 3, 1, 7, 3, 9]);
    expect(made.extend(new Uint32Array(0))).toBe(13);
    made.destroy();
    const none = SharedVec.create(heap, f64);
    expect(none.asTypedArray()).toHaveLength(0);
    expect(() => SharedVec.create(heap, Point).asTypedArray()).toThrow(/a vec of Point has no typed array/);
  });
});

// Handles -----------------------------------------------------------------------------------------------

describe('handles', () => {
  test('open the vec, with and without its field', () => {
    const made = SharedVec.create(heap, Pet, [{ name: 'Rex' }]);
    const handle = structuredClone(made.handle) as VecHandle<typeof Pet>;
    expect(SharedVec.open(heap, handle).at(0).name).toBe('Rex');
    expect(SharedVec.open(heap, handle, Pet).element).toBe(Pet);
    expect(() => SharedVec.open(heap, handle as never, Point)).toThrow(/made for Pet .*, not for/);
    expect(() => SharedVec.open(heap, { ...handle, kind: 'SharedMap' } as never)).toThrow(AttachError);
    heap.roots.set('pets', made);
    expect(heap.roots.open('pets', SharedVec.type(Pet))!.length).toBe(1);
    expect(() => heap.roots.open('pets', SharedVec.type(f64))).toThrow(AttachError);
    heap.roots.delete('pets');
    made.destroy();
    expect(() => SharedVec.open(heap, handle)).toThrow(AttachError);
    expect(live()).toBe(0);
  });

  test('in another heap are refused', () => {
    const other = Heap.create({ byteLength: MiB });
    const made = SharedVec.create(heap, f64);
    expect(() => SharedVec.open(other, made.handle)).toThrow(AttachError);
    other.detach();
  });

  test('what was released or destroyed is told so', () => {
    const made = SharedVec.create(heap, f64, [1]);
    const other = SharedVec.at(heap, made.address, f64);
    const closed = SharedVec.at(heap, made.address);
    closed.release();
    closed.release();
    expect(closed.address).toBe(NULL);
    expect(() => closed.push(1)).toThrow(ReferenceError);
    expect(() => closed.length).toThrow(/released, destroyed or moved/);
    expect(() => closed.handle).toThrow(ReferenceError);
    expect(inspect(closed)).toBe('SharedVec (released)');
    made.destroy();
    expect(() => made.at(0)).toThrow(ReferenceError);
    expect(() => other.at(0)).toThrow(/was destroyed/);
    expect(() => other.push(0)).toThrow(/was destroyed/);
    expect(other.address).toBe(NULL);
    expect(() => SharedVec.at(heap, 64 as never, f64)).toThrow(AttachError);
  });

  test('disposing closes, and leaves the vec', () => {
    const made = SharedVec.create(heap, f64, [1]);
    {
      const other = SharedVec.at(heap, made.address, f64);
      (other as { [Symbol.dispose]?: () => void })[Symbol.dispose]?.();
      if (Symbol.dispose !== undefined) expect(other.address).toBe(NULL);
    }
    expect(made.at(0)).toBe(1);
    made.destroy();
  });
});

test('a vec shows its elements, and cannot be posted', () => {
  const made = SharedVec.create(heap, i64, [1n, 2n]);
  expect(JSON.stringify(made)).toBe('["1","2"]');
  expect(inspect(made)).toBe('SharedVec(2) of i64 [ 1n, 2n ]');
  expect(inspect({ a: { b: { made } } }, { depth: 1 })).toContain('[Object]');
  expect(inspect([[[made]]], { depth: 2 })).toContain('[SharedVec(2) of i64]');
  expect(() => structuredClone(made)).toThrow(/post an address or a handle/);
  const many = SharedVec.create(heap, u8, new Uint8Array(103));
  expect(inspect(many)).toContain('and 3 more');
});

test('a vec may lie in an arena; what its elements own lies in the heap', () => {
  const arena = heap.arena(16 * KiB);
  const words = SharedVec.create(arena, string, ['a', 'b']);
  for (let i = 0; i < 100; i++) words.push(`word ${i}`);
  expect(words.at(50)).toBe('word 48');
  words.destroy();
  expect(live()).toBe(1);
  arena.release();
  expect(live()).toBe(0);
});

test('what is no field, or no start, is refused', () => {
  expect(() => SharedVec.create(heap, 5 as never)).toThrow('SharedVec.create takes a field');
  expect(() => SharedVec.type(undefined as never)).toThrow(TypeError);
  expect(() => SharedVec.create(heap, f64, 5 as never)).toThrow('first elements or { capacity }');
  expect(() => SharedVec.create(heap, string, ['a', 5 as never])).toThrow(TypeError);
  expect(live()).toBe(0);
});
