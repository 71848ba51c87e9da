import { describe, expect, test } from 'vitest';
import { HeapCorruptionError, OutOfMemoryError } from '../../src/errors.ts';
import { array, bytes } from '../../src/structs/array-field.ts';
import { atomic } from '../../src/structs/atomic-cell.ts';
import type { Field } from '../../src/structs/field.ts';
import { oneOf } from '../../src/structs/one-of.ts';
import { ref } from '../../src/structs/reference.ts';
import { bool, f32, f64, i64, u8, u16, u32 } from '../../src/structs/scalars.ts';
import { create, StructType, struct, viewAt } from '../../src/structs/struct.ts';
import { BumpStore, FIRST_BLOCK } from './bump-store.ts';

const declare = (name: unknown, schema: unknown) => () =>
  struct(name as string, schema as Record<string, Field>);

describe('layout', () => {
  const Inner = struct('Inner', { flag: bool, weight: f64 });
  const Outer = struct('Outer', {
    id: u8,
    inner: Inner,
    tag: u16,
    list: array(Inner, 2),
    name: bytes(3),
    link: ref(Inner),
    kind: oneOf('a', 'b'),
    count: atomic(i64),
  });

  test('follows the C ABI', () => {
    expect([Inner.size, Inner.align]).toEqual([16, 8]);
    expect(
      Outer.fields.map(({ name, kind, offset, size, align }) => [name, kind, offset, size, align]),
    ).toEqual([
      ['id', 'u8', 0, 1, 1],
      ['inner', 'struct', 8, 16, 8],
      ['tag', 'u16', 24, 2, 2],
      ['list', 'array', 32, 32, 8],
      ['name', 'bytes', 64, 3, 1],
      ['link', 'ref', 68, 4, 4],
      ['kind', 'oneOf', 72, 1, 1],
      ['count', 'atomic', 80, 8, 8],
    ]);
    expect([Outer.size, Outer.align, Outer.name]).toEqual([88, 8, 'Outer']);
    expect(Outer.offsetOf('tag')).toBe(24);
    expect(Outer.layout.owning).toEqual([]);
  });

  test('offsetOf refuses unknown names', () => {
    expect(() => Outer.offsetOf('nothing' as never)).toThrow(
      new TypeError('Outer has no field named "nothing"'),
    );
  });

  test('cannot be changed', () => {
    expect(() => (Outer.fields as unknown[]).push(1)).toThrow(TypeError);
    expect(() => Object.assign(Outer.fields[0]!, { offset: 4 })).toThrow(TypeError);
  });
});

describe('hash', () => {
  const base = { x: f64, link: ref(struct('Target', { a: u8 })), kind: oneOf('a', 'b'), n: array(u8, 2) };
  const hash = (schema: Record<string, unknown>, name = 'Base') => struct(name, schema as typeof base).hash;

  test('is a u32, the same for the same declaration', () => {
    expect(hash(base)).toBe(hash({ ...base }));
    expect(hash(base) >>> 0).toBe(hash(base));
  });

  test('tells names, kinds, orders and nested fields apart', () => {
    const { x, ...rest } = base;
    const variants = [
      hash(base),
      hash(base, 'Other'),
      hash({ y: x, ...rest }),
      hash({ ...rest, x }),
      hash({ ...base, x: i64 }),
      hash({ ...base, x: atomic(i64) }),
      hash({ ...base, link: ref(struct('Elsewhere', { a: u8 })) }),
      hash({ ...base, link: u32 }),
      hash({ ...base, kind: oneOf('a', 'c') }),
      hash({ ...base, kind: oneOf('b', 'a') }),
      hash({ ...base, n: bytes(2) }),
      hash({ ...base, n: array(bool, 2) }),
      hash({ ...base, n: struct('N', { a: u8, b: u8 }) }),
      hash({ ...base, n: struct('N', { a: u8, c: u8 }) }),
    ];
    expect(new Set(variants).size).toBe(variants.length);
  });
});

describe('struct() refuses', () => {
  test('bad names', () => {
    expect(declare(5, { x: f64 })).toThrow(new TypeError("a struct's name must be a string, got 5"));
    for (const name of ['', 'x'.repeat(256), 'é'.repeat(128), '\ud800']) {
      expect(declare(name, { x: f64 })).toThrow("a struct's name must be 1 to 255 bytes of UTF-8");
    }
    expect(struct('x'.repeat(255), { x: f64 }).name).toHaveLength(255);
  });

  test('schemas that are no plain objects', () => {
    for (const schema of [
      undefined,
      null,
      5,
      'x',
      [f64],
      new Map(),
      class {},
      f64,
      Object.create({ x: f64 }),
    ]) {
      expect(declare('Bad', schema), String(schema)).toThrow(
        'struct Bad takes a plain object of fields, got',
      );
    }
    const bare = Object.assign(Object.create(null), { x: f64 });
    expect(struct('Bare', bare as { x: typeof f64 }).size).toBe(8);
  });

  test('no fields, and fields named by symbols', () => {
    expect(declare('Bad', {})).toThrow(new TypeError('struct Bad has no fields'));
    expect(declare('Bad', { [Symbol('key')]: f64 })).toThrow(
      new TypeError('struct Bad has a field named by a symbol: Symbol(key)'),
    );
  });

  test('names that views have themselves', () => {
    for (const name of [
      'address',
      'addressOf',
      'set',
      'toJSON',
      'constructor',
      'toString',
      'hasOwnProperty',
    ]) {
      expect(declare('Bad', { [name]: f64 })).toThrow(
        new TypeError(`struct Bad cannot have a field named '${name}': views have one of their own`),
      );
    }
    expect(declare('Bad', Object.defineProperty({}, '__proto__', { value: f64, enumerable: true }))).toThrow(
      "cannot have a field named '__proto__'",
    );
  });

  test('names that are no identifiers', () => {
    for (const name of ['', 'a b', '1a', 'a-b', '$x', 'x$']) {
      expect(declare('Bad', { [name]: f64 })).toThrow(
        new TypeError(
          `struct Bad cannot have a field named ${JSON.stringify(name)}: want letters, digits and _`,
        ),
      );
    }
    expect(struct('Good', { größe_1: f64, _x: u8 }).size).toBe(16);
  });

  test('values that are no fields', () => {
    const wanted = 'Bad.x must be a field, such as f64, ref(Node) or another struct; got';
    expect(declare('Bad', { x: 5 })).toThrow(new TypeError(`${wanted} 5`));
    expect(declare('Bad', { x: 'f64' })).toThrow(new TypeError(`${wanted} "f64"`));
    expect(declare('Bad', { x: { y: f64 } })).toThrow(new TypeError(`${wanted} an object`));
    expect(declare('Bad', { x: Number })).toThrow(new TypeError(`${wanted} function Number`));
    expect(declare('Bad', { x: undefined })).toThrow(`${wanted} undefined (a struct that is defined later`);
  });

  test('getters that return no field, at first use and each time', () => {
    const Bad = struct('Bad', {
      get x() {
        return 5;
      },
    });
    for (let time = 0; time < 2; time++) expect(() => Bad.size).toThrow('Bad.x must be a field');
  });

  test('structs of 4 GiB and more', () => {
    expect(struct('Large', { a: array(f64, 2 ** 29 - 1) }).size).toBe(2 ** 32 - 8);
    expect(() => struct('Bad', { a: array(f64, 2 ** 29) }).size).toThrow(
      new RangeError('struct Bad reaches 4 GiB at its field a'),
    );
    expect(() => struct('Bad', { a: f64, b: bytes(2 ** 32 - 12) }).size).toThrow(RangeError);
  });
});

describe('a struct that contains itself by value is refused', () => {
  test('at once', () => {
    const Node = struct('Node', {
      value: f64,
      get child() {
        return Node as unknown as Field;
      },
    });
    for (let time = 0; time < 2; time++) {
      expect(() => Node.size).toThrow(
        new TypeError('struct Node contains itself by value (Node.child → Node): use ref(Node) instead'),
      );
    }
  });

  test('through an array and another struct', () => {
    const A = struct('A', {
      get bs() {
        return array(B as unknown as Field, 2);
      },
    });
    const B = struct('B', { a: A as unknown as Field });
    expect(() => B.hash).toThrow(
      new TypeError('struct B contains itself by value (B.a → A.bs → B): use ref(B) instead'),
    );
  });
});

test('getters are called at first use, not before', () => {
  let calls = 0;
  const Lazy = struct('Lazy', {
    get x() {
      calls++;
      return f64;
    },
  });
  const Holder = struct('Holder', { lazy: Lazy, link: ref(Lazy) });
  expect(calls).toBe(0);
  expect(Holder.size).toBe(16);
  expect(calls).toBe(1);
});

describe('create', () => {
  const Point = struct('Point', { x: f64, y: f32, id: u32 });

  test('zeroes what init leaves out, in any order of names', () => {
    const store = BumpStore.create();
    store.memory.u8.fill(0xff, FIRST_BLOCK);
    expect(create(Point, store).toJSON()).toEqual({ x: 0, y: 0, id: 0 });
    expect(create(Point, store, { id: 3, x: 1 }).toJSON()).toEqual({ x: 1, y: 0, id: 3 });
    expect(create(Point, store, { x: undefined as never, id: 4 }).toJSON()).toEqual({ x: 0, y: 0, id: 4 });
    expect(create(Point, store, create(Point, store, { y: 2 }) as object).toJSON()).toEqual({
      x: 0,
      y: 2,
      id: 0,
    });
  });

  test('refuses unknown fields and leaves nothing allocated', () => {
    const store = BumpStore.create();
    expect(() => create(Point, store, { x: 1, z: 2 } as object)).toThrow(
      new TypeError('Point has no field named "z"'),
    );
    expect(() => create(Point, store, 5 as never)).toThrow(
      new TypeError('Point takes an object of field values, got 5'),
    );
    expect(() => create(Point, store, null as never)).toThrow(TypeError);
    expect(store.blocks.size).toBe(0);
  });

  test('throws OutOfMemoryError when the store is full', () => {
    const store = BumpStore.create(8192);
    store.next = 8192 - 8;
    expect(() => create(Point, store)).toThrow(OutOfMemoryError);
    expect(() => create(Point, store)).toThrow('no free block for 16 bytes; a Point');
  });
});

describe('at', () => {
  const Point = struct('Point', { x: f64, y: f64 });
  const Byte = struct('Byte', { value: u8 });
  const store = BumpStore.create();
  const end = store.memory.byteLength;

  test('views what lies at an address', () => {
    const point = create(Point, store, { x: 1, y: 2 });
    expect(Point.at(store, point.address).y).toBe(2);
    expect(viewAt(Point, store, point.address).address).toBe(point.address);
    expect(Point.at(store, end - 16).address).toBe(end - 16);
    expect(Byte.at(store, end - 1).address).toBe(end - 1);
    expect(Byte.at(store, 1).address).toBe(1);
  });

  test('refuses what can be no address of the struct', () => {
    expect(() => Point.at(store, 0)).toThrow(new RangeError('no Point lies at NULL (address 0)'));
    expect(() => Point.at(store, 4100)).toThrow(
      new RangeError('0x00001004 is not aligned to the 8 bytes of Point'),
    );
    expect(() => Point.at(store, end - 8)).toThrow(
      new RangeError('Point (16 bytes) at 0x000ffff8 reaches past the end of the memory (0x00100000)'),
    );
    for (const wrong of [-8, 0.5, 4096.5, 2 ** 32, 2 ** 32 + 4096, Number.NaN, '4096', undefined, null]) {
      expect(() => Point.at(store, wrong as number), String(wrong)).toThrow(
        /^not an address of Point: .* \(want an integer from 1 to 2\^32 - 1\)$/,
      );
    }
    expect(() => Byte.at(store, end)).toThrow(RangeError);
  });
});

describe('nested structs', () => {
  const Point = struct('Point', { x: f64, y: f64 });
  const Line = struct('Line', { id: u32, from: Point, to: Point });
  const Shape = struct('Shape', { outline: array(Line, 2), base: Line });
  const store = BumpStore.create();

  test('read as views of their part', () => {
    const line = create(Line, store, { from: { x: 1 }, to: { x: 2, y: 3 } });
    line.from.y = 9;
    expect(line.toJSON()).toEqual({ id: 0, from: { x: 1, y: 9 }, to: { x: 2, y: 3 } });
    expect(line.to.address).toBe(line.address + Line.offsetOf('to'));
  });

  test('stay where they are when the outer view moves', () => {
    const first = create(Line, store, { to: { x: 1 } });
    const second = create(Line, store, { to: { x: 2 } });
    const { to } = first;
    first.address = second.address;
    expect(to.x).toBe(1);
    expect(first.to.x).toBe(2);
  });

  test('assignment copies fields, from objects and views, also of another heap', () => {
    const line = create(Line, store);
    const other = create(Line, BumpStore.create(), { from: { x: 5, y: 6 } });
    line.set({ from: { x: 1, y: 2 } });
    line.to = line.from;
    line.from = other.from;
    (line as { to: unknown }).to = { y: 7 };
    expect(line.toJSON()).toEqual({ id: 0, from: { x: 5, y: 6 }, to: { x: 1, y: 7 } });
    expect(() => line.set({ from: { z: 1 } as object })).toThrow(
      new TypeError('Point has no field named "z"'),
    );
    expect(() => line.set({ from: create(Line, store) as never })).toThrow(
      new TypeError('Point takes no view of Line'),
    );
    expect(() => line.set({ from: 3 as never })).toThrow(
      new TypeError('Point takes an object of field values, got 3'),
    );
  });

  test('go several levels deep', () => {
    const shape = create(Shape, store, { base: { to: { y: 4 } } });
    shape.outline.at(1).from.x = 8;
    expect(shape.base.to.y).toBe(4);
    expect(shape.toJSON()).toEqual({
      outline: [
        { id: 0, from: { x: 0, y: 0 }, to: { x: 0, y: 0 } },
        { id: 0, from: { x: 8, y: 0 }, to: { x: 0, y: 0 } },
      ],
      base: { id: 0, from: { x: 0, y: 0 }, to: { x: 0, y: 4 } },
    });
  });
});

test('a type with a corrupt registry cannot be used', () => {
  const store = BumpStore.create();
  store.memory.u32[(64 >>> 2) + 1] = 3;
  expect(() => create(struct('Any', { x: f64 }), store)).toThrow(HeapCorruptionError);
});

test('a type is an instance of StructType and serves any number of heaps', () => {
  const Point = struct('Point', { x: f64 });
  expect(Point).toBeInstanceOf(StructType);
  const points = [1, 2, 3].map((x) => create(Point, BumpStore.create(), { x }));
  expect(points.map(({ x }) => x)).toEqual([1, 2, 3]);
});
