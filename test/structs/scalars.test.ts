import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toAddress } from '../../src/memory/address.ts';
import { bool, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64 } from '../../src/structs/scalars.ts';
import { create, struct } from '../../src/structs/struct.ts';
import { BumpStore } from './bump-store.ts';

const All = struct('All', {
  before: u64,
  i8,
  u8,
  i16,
  u16,
  i32,
  u32,
  i64,
  u64,
  f32,
  f64,
  bool,
  after: u64,
});

const integers = { i8: Int8Array, u8: Uint8Array, i16: Int16Array, u16: Uint16Array } as const;
const longs = { i32: Int32Array, u32: Uint32Array, f32: Float32Array, f64: Float64Array } as const;
const bigs = { i64: BigInt64Array, u64: BigUint64Array } as const;

const store = BumpStore.create();
const GUARD = 0xdead_beef_dead_beefn;

/** A struct with both neighbours filled, so that a write that reaches too far shows. */
function fresh() {
  return create(All, store, { before: GUARD, after: GUARD });
}

describe.each(Object.entries({ ...integers, ...longs }))('%s', (kind, Typed) => {
  const name = kind as keyof typeof integers | keyof typeof longs;

  test('holds what the typed array of its kind holds, for any number', () => {
    const view = fresh();
    const typed = new Typed(1);
    fc.assert(
      fc.property(
        fc.oneof(fc.double(), fc.integer(), fc.constantFrom(2 ** 32, -(2 ** 31), 2 ** 53)),
        (number) => {
          typed[0] = number;
          view[name] = number;
          expect(view[name]).toBe(typed[0]);
          expect(view.before).toBe(GUARD);
          expect(view.after).toBe(GUARD);
        },
      ),
    );
  });

  test('lies at its offset in the shared bytes', () => {
    const view = create(All, store, { [name]: 42 });
    const at = toAddress(view.address + All.offsetOf(name));
    expect(store.memory.view(Typed, at, 1)[0]).toBe(42);
  });
});

describe.each(Object.entries(bigs))('%s', (kind, Typed) => {
  const name = kind as keyof typeof bigs;

  test('holds what the typed array of its kind holds, for any bigint', () => {
    const view = fresh();
    const typed = new Typed(1);
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }), (bigint) => {
        typed[0] = bigint;
        view[name] = bigint;
        expect(view[name]).toBe(typed[0]);
        expect(view.before).toBe(GUARD);
        expect(view.after).toBe(GUARD);
      }),
    );
  });

  test('refuses numbers, as typed arrays of bigints do', () => {
    const view = fresh();
    expect(() => {
      view[name] = 5 as never;
    }).toThrow(TypeError);
    expect(view[name]).toBe(0n);
  });
});

describe('bool', () => {
  test('takes any value for its truth', () => {
    const view = fresh();
    fc.assert(
      fc.property(fc.anything(), (given) => {
        view.bool = given as boolean;
        expect(view.bool).toBe(Boolean(given));
      }),
    );
    expect(view.before).toBe(GUARD);
    expect(view.after).toBe(GUARD);
  });

  test('any byte but 0 is true', () => {
    const view = fresh();
    store.memory.u8[view.address + All.offsetOf('bool')] = 7;
    expect(view.bool).toBe(true);
  });
});

test('a struct starts as zeros', () => {
  expect(JSON.stringify(create(All, store))).toBe(
    '{"before":"0","i8":0,"u8":0,"i16":0,"u16":0,"i32":0,"u32":0,"i64":"0","u64":"0","f32":0,"f64":0,"bool":false,"after":"0"}',
  );
});
