import { inspect } from 'node:util';
import { MessageChannel } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Memory } from '../../src/memory/memory.ts';
import { array } from '../../src/structs/array-field.ts';
import { oneOf } from '../../src/structs/one-of.ts';
import { LayoutRegistry } from '../../src/structs/registry.ts';
import { bool, f64, i64, u8, u16, u32 } from '../../src/structs/scalars.ts';
import { create, struct, viewAt } from '../../src/structs/struct.ts';
import { BumpStore } from './bump-store.ts';

const Point = struct('Point', { x: f64, y: f64, id: u32 });
const Pair = struct('Pair', { a: u16, b: u16 });
const Byte = struct('Byte', { value: u8 });

describe('moving a view', () => {
  test('shows another struct', () => {
    const store = BumpStore.create();
    const first = create(Point, store, { x: 1 });
    const second = create(Point, store, { x: 2 });
    const view = viewAt(Point, store, first.address);
    view.address = second.address;
    expect([view.x, view.address]).toEqual([2, second.address]);
    view.x = 9;
    expect([first.x, second.x]).toEqual([1, 9]);
  });

  test.each([
    [Point, 8, 24],
    [Pair, 2, 4],
    [Byte, 1, 1],
  ] as const)('$name: exactly the addresses where it has room and is aligned', (Type, align, size) => {
    const store = BumpStore.create(8192);
    const view = viewAt(Type, store, 4096);
    const legal = (at: number) => at > 0 && at % align === 0 && at <= 8192 - size;
    for (let at = 0; at < 8200; at++) {
      if (legal(at)) {
        view.address = at;
        expect(view.address).toBe(at);
      } else {
        expect(() => {
          view.address = at;
        }).toThrow(RangeError);
      }
    }
  });

  test('refuses whatever is no address, and stays', () => {
    const store = BumpStore.create();
    const view = create(Point, store, { x: 5 });
    const { address } = view;
    const wrong = fc.oneof(
      fc.double().filter((number) => !Number.isInteger(number)),
      fc.integer({ max: -1 }),
      fc.integer({ min: 0, max: 2 ** 20 }).map((n) => 2 ** 32 + n * 8),
      fc.constantFrom('4096', null, undefined, [], {}, true, Number.POSITIVE_INFINITY),
    );
    fc.assert(
      fc.property(wrong, (given) => {
        expect(() => {
          view.address = given as number;
        }).toThrow(RangeError);
        expect(view.address).toBe(address);
      }),
    );
    expect(() => {
      view.address = 4100;
    }).toThrow('0x00001004 is not aligned to the 8 bytes of Point');
    expect(view.x).toBe(5);
  });

  test('works above 2 GiB', () => {
    const memory = Memory.create(2 ** 31 + 65_536);
    const store = new BumpStore(memory, LayoutRegistry.create(memory, 64, 4096));
    store.next = 2 ** 31;
    const high = create(Point, store, { x: 1, id: 7 });
    const low = viewAt(Point, store, 8192);
    low.x = 2;
    expect(high.address).toBe(2 ** 31);
    const view = viewAt(Point, store, low.address);
    expect(view.x).toBe(2);
    view.address = high.address;
    expect([view.x, view.id]).toEqual([1, 7]);
    const points = Point.array(store, 100);
    const moving = points.at(0);
    for (let index = 0; index < 100; index++) points.at(index, moving).id = index;
    expect(points.at(99).id).toBe(99);
    expect(() => {
      view.address = 2 ** 31 + 65_536 - 16;
    }).toThrow(RangeError);
  });
});

describe('set', () => {
  const store = BumpStore.create();

  test('assigns what is given and keeps the rest', () => {
    const point = create(Point, store, { x: 1, y: 2, id: 3 });
    point.set({ y: 5 });
    point.set({});
    expect(point.toJSON()).toEqual({ x: 1, y: 5, id: 3 });
  });

  test('copies from a view', () => {
    const point = create(Point, store, { x: 1 });
    point.set(create(Point, store, { x: 4, y: 5, id: 6 }));
    expect(point.toJSON()).toEqual({ x: 4, y: 5, id: 6 });
    expect(() => point.set(create(Pair, store) as never)).toThrow(
      new TypeError('Point takes no view of Pair'),
    );
  });

  test('refuses unknown names and other than objects', () => {
    const point = create(Point, store);
    expect(() => point.set({ z: 1 } as object)).toThrow(new TypeError('Point has no field named "z"'));
    expect(() => point.set([1] as object)).toThrow(new TypeError('Point has no field named "0"'));
    for (const wrong of [5, 'x', null, undefined]) expect(() => point.set(wrong as never)).toThrow(TypeError);
  });
});

describe('for other tools', () => {
  const store = BumpStore.create();
  const All = struct('All', {
    big: i64,
    list: array(f64, 2),
    flags: array(bool, 2),
    kind: oneOf('a', 'b'),
    at: Pair,
  });
  const view = create(All, store, { big: -5n, list: [1, Number.NaN], kind: 'b', at: { b: 3 } });

  test('toJSON gives plain data', () => {
    expect(view.toJSON()).toEqual({
      big: '-5',
      list: [1, Number.NaN],
      flags: [false, false],
      kind: 'b',
      at: { a: 0, b: 3 },
    });
    expect(JSON.stringify(view)).toBe(
      '{"big":"-5","list":[1,null],"flags":[false,false],"kind":"b","at":{"a":0,"b":3}}',
    );
  });

  test('inspect shows the fields', () => {
    expect(inspect(view, { breakLength: Number.POSITIVE_INFINITY, compact: true })).toBe(
      "All { big: -5n, list: Float64Array(2) [ 1, NaN ], flags: All.flags [ false, false ], kind: 'b', at: Pair { a: 0, b: 3 } }",
    );
    expect(inspect({ deep: { deeper: { view } } })).toContain('[All]');
    expect(inspect(view, { depth: 0 })).toContain('[Pair]');
  });

  test('fields are listed by for…in, in the order of the schema', () => {
    const names: string[] = [];
    for (const name in create(Point, store)) if (!name.startsWith('$')) names.push(name);
    expect(names).toEqual(['x', 'y', 'id']);
  });

  test('the class carries the name of the struct', () => {
    expect(view.constructor.name).toBe('All');
  });
});

describe('posting a view', () => {
  const store = BumpStore.create();
  const refused = expect.objectContaining({
    name: 'DataCloneError',
    message: expect.stringContaining('post an address or a handle instead'),
  });

  test('throws DataCloneError and says what to do instead', () => {
    const point = create(Point, store);
    const element = Point.array(store, 1, { layout: 'columns' }).at(0);
    const { port1 } = new MessageChannel();
    for (const view of [point, element]) {
      expect(() => structuredClone(view)).toThrow(refused);
      expect(() => structuredClone({ deep: [view] })).toThrow(refused);
      expect(() => port1.postMessage(view)).toThrow(refused);
    }
    port1.close();
  });

  test('of a nested struct too', () => {
    const Line = struct('Line', { from: Point });
    expect(() => structuredClone(create(Line, store).from)).toThrow(refused);
  });
});
