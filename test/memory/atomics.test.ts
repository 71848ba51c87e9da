/** The wrappers around Atomics: each does what its name says, waits included, with and without waitAsync. */

import { afterEach, describe, expect, test, vi } from 'vitest';
import * as atomics from '../../src/memory/atomics.ts';

const words = new Int32Array(new SharedArrayBuffer(16));
const unsigned = new Uint32Array(words.buffer);
const big = new BigInt64Array(words.buffer);

afterEach(() => {
  vi.unstubAllGlobals();
  words.fill(0);
});

describe('32 bits', () => {
  test('load, store and exchange', () => {
    atomics.atomicStore(words, 1, -5);
    expect(atomics.atomicLoad(words, 1)).toBe(-5);
    expect(atomics.atomicLoad(unsigned, 1)).toBe(2 ** 32 - 5);
    expect(atomics.atomicExchange(words, 1, 9)).toBe(-5);
    expect(words[1]).toBe(9);
  });

  test('compareExchange stores only over what was expected', () => {
    words[2] = 7;
    expect(atomics.compareExchange(words, 2, 6, 8)).toBe(7);
    expect(words[2]).toBe(7);
    expect(atomics.compareExchange(words, 2, 7, 8)).toBe(7);
    expect(words[2]).toBe(8);
  });

  test('add, sub, and, or answer with what was there and wrap', () => {
    words[0] = 2 ** 31 - 1;
    expect(atomics.atomicAdd(words, 0, 1)).toBe(2 ** 31 - 1);
    expect(words[0]).toBe(-(2 ** 31));
    expect(atomics.atomicSub(words, 0, 1)).toBe(-(2 ** 31));
    expect(words[0]).toBe(2 ** 31 - 1);
    expect(atomics.atomicAnd(words, 0, 0xff)).toBe(2 ** 31 - 1);
    expect(words[0]).toBe(0xff);
    expect(atomics.atomicOr(words, 0, 0x100)).toBe(0xff);
    expect(words[0]).toBe(0x1ff);
  });
});

describe('64 bits', () => {
  test('load, store, exchange and compareExchange', () => {
    atomics.bigStore(big, 1, -1n);
    expect(atomics.bigLoad(big, 1)).toBe(-1n);
    expect(atomics.bigExchange(big, 1, 5n)).toBe(-1n);
    expect(atomics.bigCompareExchange(big, 1, 4n, 6n)).toBe(5n);
    expect(atomics.bigCompareExchange(big, 1, 5n, 6n)).toBe(5n);
    expect(big[1]).toBe(6n);
  });

  test('add, sub, and, or answer with what was there', () => {
    expect(atomics.bigAdd(big, 0, 2n ** 40n)).toBe(0n);
    expect(atomics.bigSub(big, 0, 1n)).toBe(2n ** 40n);
    expect(atomics.bigAnd(big, 0, 0xf0n)).toBe(2n ** 40n - 1n);
    expect(atomics.bigOr(big, 0, 1n)).toBe(0xf0n);
    expect(big[0]).toBe(0xf1n);
  });
});

describe('wait and notify', () => {
  test('a word that has changed is not waited for', () => {
    words[0] = 1;
    expect(atomics.wait(words, 0, 0, 60_000)).toBe('not-equal');
  });

  test('a wait ends when its time is up', () => {
    const began = performance.now();
    expect(atomics.wait(words, 0, 0, 20)).toBe('timed-out');
    expect(performance.now() - began).toBeGreaterThanOrEqual(19);
  });

  test('nobody waits, so nobody is woken', () => {
    expect(atomics.notify(words, 0, 1)).toBe(0);
  });

  test('pause may be called', () => {
    expect(() => atomics.pause()).not.toThrow();
  });
});

describe.each([
  ['with Atomics.waitAsync', true],
  ['without Atomics.waitAsync', false],
])('waitAsync %s', (_, native) => {
  /** Hides `waitAsync`, as on a runtime that has none. */
  function prepare(): void {
    if (!native) vi.spyOn(Atomics as { waitAsync?: unknown }, 'waitAsync', 'get').mockReturnValue(undefined);
  }
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test('a word that has changed is not waited for', async () => {
    prepare();
    words[0] = 1;
    expect(await atomics.waitAsync(words, 0, 0, 60_000)).toBe('not-equal');
  });

  test('a wait ends when its time is up', async () => {
    prepare();
    const began = performance.now();
    expect(await atomics.waitAsync(words, 0, 0, 20)).toBe('timed-out');
    expect(performance.now() - began).toBeGreaterThanOrEqual(19);
  });

  test('a change with a notify wakes it while the thread goes on', async () => {
    prepare();
    const woken = atomics.waitAsync(words, 0, 0, 60_000);
    let turns = 0;
    const timer = setInterval(() => {
      turns++;
      if (turns < 3) return;
      clearInterval(timer);
      atomics.atomicStore(words, 0, 1);
      atomics.notify(words, 0, 1);
    }, 1);
    expect(await woken).toBe('ok');
    expect(turns).toBe(3);
  });
});
