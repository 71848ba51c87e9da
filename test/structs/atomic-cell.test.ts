import { inspect } from 'node:util';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { atomic } from '../../src/structs/atomic-cell.ts';
import { releaseView } from '../../src/structs/deleted-view.ts';
import { f64, i32, i64, u32, u64 } from '../../src/structs/scalars.ts';
import { create, struct } from '../../src/structs/struct.ts';
import { BumpStore } from './bump-store.ts';

const Counters = struct('Counters', {
  padding: f64,
  i32: atomic(i32),
  u32: atomic(u32),
  i64: atomic(i64),
  u64: atomic(u64),
});
const store = BumpStore.create();

const operations = ['add', 'sub', 'and', 'or', 'exchange', 'store'] as const;
type Operation = (typeof operations)[number];

/** What `operation` makes of a word that holds `before`. */
function apply(operation: Operation, before: bigint, value: bigint): bigint {
  switch (operation) {
    case 'add':
      return before + value;
    case 'sub':
      return before - value;
    case 'and':
      return before & value;
    case 'or':
      return before | value;
    default:
      return value;
  }
}

describe.each([
  ['i32', 32, true],
  ['u32', 32, false],
  ['i64', 64, true],
  ['u64', 64, false],
] as const)('%s', (name, bits, signed) => {
  const wrap = (value: bigint) => (signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value));
  const outer = (value: bigint) => (bits === 32 ? Number(value) : value);

  test('every operation does what it says and returns what was there', () => {
    const view = create(Counters, store);
    const cell = view[name] as unknown as Record<string, (...values: unknown[]) => unknown>;
    let model = 0n;
    const word = fc.bigInt({ min: -(2n ** 31n), max: 2n ** 31n - 1n }).map(wrap);
    fc.assert(
      fc.property(fc.constantFrom(...operations), word, (operation, value) => {
        const before = cell[operation]!(outer(value));
        if (operation !== 'store') expect(before).toBe(outer(model));
        model = wrap(apply(operation, model, value));
        expect(cell.load!()).toBe(outer(model));
      }),
    );
  });

  test('compareExchange stores only over what it expects', () => {
    const view = create(Counters, store, { [name]: outer(5n) });
    const cell = view[name] as unknown as {
      compareExchange(a: unknown, b: unknown): unknown;
      load(): unknown;
    };
    expect(cell.compareExchange(outer(4n), outer(9n))).toBe(outer(5n));
    expect(cell.load()).toBe(outer(5n));
    expect(cell.compareExchange(outer(5n), outer(9n))).toBe(outer(5n));
    expect(cell.load()).toBe(outer(9n));
  });
});

test('a view has one cell for each field, which follows it', () => {
  const first = create(Counters, store, { i32: 1, u64: 10n });
  const second = create(Counters, store, { i32: 2, u64: 20n });
  const { i32: cell, u64: big } = first;
  expect(first.i32).toBe(cell);
  expect(first.u64).toBe(big);
  first.address = second.address;
  expect(first.i32).toBe(cell);
  cell.add(5);
  expect(big.load()).toBe(20n);
  expect(second.i32.load()).toBe(7);
});

test('a cell cannot be assigned to', () => {
  const view = create(Counters, store);
  const element = Counters.array(store, 1, { layout: 'columns' }).at(0);
  for (const target of [view, element]) {
    expect(() => {
      (target as { i32: unknown }).i32 = 5;
    }).toThrow(new TypeError('Counters.i32 is atomic: use i32.store(value)'));
  }
});

test('set stores atomically, from numbers and from other cells', () => {
  const view = create(Counters, store, { i32: -7, u64: 2n ** 64n - 1n });
  const copy = create(Counters, store);
  copy.set(view);
  expect(copy.toJSON()).toEqual({ padding: 0, i32: -7, u32: 0, i64: '0', u64: '18446744073709551615' });
  expect(() => copy.set({ i64: 5 as never })).toThrow(TypeError);
});

test('wait answers at once when the word differs, and gives up in time', () => {
  const view = create(Counters, store, { i32: 3 });
  expect(view.i32.wait(4)).toBe('not-equal');
  expect(view.i32.wait(3, 1)).toBe('timed-out');
  expect(view.i32.notify()).toBe(0);
});

test('notify wakes a thread that waits', async () => {
  const view = create(Counters, store);
  const index = (view.address + Counters.offsetOf('i32')) / 4;
  const code = `
    const { parentPort, workerData: { buffer, index } } = require('node:worker_threads');
    parentPort.postMessage(Atomics.wait(new Int32Array(buffer), index, 0, 60_000));`;
  const worker = new Worker(code, { eval: true, workerData: { buffer: store.memory.buffer, index } });
  const woken = new Promise((resolve) => worker.once('message', resolve));
  while (view.i32.notify(1) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(await woken).toBe('ok');
});

test('the cell of a deleted struct throws', () => {
  const view = create(Counters, store);
  const { i32: cell, i64: big } = view;
  releaseView(view);
  expect(() => cell.load()).toThrow(RangeError);
  expect(() => big.store(1n)).toThrow(RangeError);
});

test('an inspector shows the value, posting throws', () => {
  const view = create(Counters, store, { i32: 3, i64: 4n });
  expect(inspect(view.i32)).toBe('AtomicCell 3');
  expect(inspect(view.i64)).toBe('AtomicCell 4n');
  expect(JSON.stringify(view.i64)).toBe('"4"');
  expect(() => structuredClone(view.i32)).toThrow(expect.objectContaining({ name: 'DataCloneError' }));
});

test('atomic takes words that have atomic operations', () => {
  expect(() => atomic(f64 as never)).toThrow(new TypeError('atomic takes i32, u32, i64 or u64; got f64'));
  expect(() => atomic(Counters as never)).toThrow(
    new TypeError('atomic takes i32, u32, i64 or u64; got struct'),
  );
  expect(() => atomic(5 as never)).toThrow(new TypeError('atomic takes i32, u32, i64 or u64; got 5'));
});
