/**
 * Buffers that `Heap.attach` is given by mistake or by malice: cut short, of another version, half laid out,
 * noise, and 10,000 that were overwritten at random wherever attach and the first uses look. Each is refused,
 * or used on with the library's own errors alone: no hang, and not a byte outside the buffer's own.
 */

import { afterEach, describe, expect, test } from 'vitest';
import { SabheapError } from '../../src/errors.ts';
import { attached } from '../../src/heap/attached.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { LAYOUT_VERSION, SUPERBLOCK_BYTES } from '../../src/heap/superblock.ts';
import { KiB } from '../../src/memory/address.ts';
import { randomFrom, SEED } from '../random.ts';
import { expectError } from './promises.ts';

const BYTES = 64 * KiB;
const FUZZED = 10_000;
/** Index of the superblock's word that says whether it is laid out. */
const STATE = 6;
/** Of its f64 that says how long waiters wait. */
const LOCK_TIMEOUT = 4;

const modes: readonly [string, HeapOptions][] = [
  ['standard', {}],
  ['standard, without caches', { cache: false }],
  ['hardened', { checks: 'hardened' }],
];

function pristine(options: HeapOptions): Uint8Array {
  const heap = Heap.create({ byteLength: BYTES, maxThreads: 4, lockTimeout: 1, ...options });
  heap.roots.set('a', heap.alloc(40));
  heap.free(heap.alloc(100));
  heap.alloc(100);
  heap.detach();
  return new Uint8Array(heap.buffer).slice();
}

function shared(bytes: Uint8Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}

afterEach(() => attached().heaps.clear());

describe.each(modes)('%s', (_, options) => {
  const good = pristine(options);

  test.each([8, 64, 127, 1024, BYTES / 2, BYTES - 8])('cut to %i bytes', (bytes) => {
    expectError('AttachError', () => Heap.attach(shared(good.slice(0, bytes - (bytes % 8)))));
  });

  test.each([0, LAYOUT_VERSION + 1, 0xffffffff])('of layout version %i', (version) => {
    const buffer = shared(good);
    new Uint32Array(buffer)[1] = version;
    expectError('AttachError', () => Heap.attach(buffer));
  });

  test('half laid out: the creator stopped before its last store', () => {
    const buffer = shared(good);
    new Uint32Array(buffer)[STATE] = 0;
    expectError('AttachError', () => Heap.attach(buffer));
  });

  test('of 2,000 buffers of noise none is a heap, and none is written to', () => {
    const random = randomFrom(SEED);
    for (let run = 0; run < 2000; run++) {
      const bytes = new Uint8Array(8 * (1 + Math.floor(random() * 512))).map(() => random() * 256);
      const buffer = shared(bytes);
      expectError('AttachError', () => Heap.attach(buffer));
      expect(Buffer.compare(bytes, new Uint8Array(buffer)), `SEED=${SEED}, run ${run}`).toBe(0);
    }
  });

  test(`of ${FUZZED} that were overwritten each is refused, or used on without a hang`, () => {
    console.log(`fuzzed buffers: SEED=${SEED}`);
    const random = randomFrom(SEED);
    const buffer = shared(good);
    const bytes = new Uint8Array(buffer);
    const outcome = { refused: 0, used: 0 };
    for (let run = 0; run < FUZZED; run++) {
      bytes.set(good);
      damage(buffer, good, random);
      const before = performance.now();
      let heap: Heap | undefined;
      const where = `SEED=${SEED}, run ${run}`;
      if (attempt(where, () => (heap = Heap.attach(buffer)))) {
        use(heap!, where);
        outcome.used++;
      } else outcome.refused++;
      attached().heaps.clear();
      expect(performance.now() - before, where).toBeLessThan(60_000);
    }
    expect(outcome.refused).toBeGreaterThan(FUZZED / 100);
    expect(outcome.used).toBeGreaterThan(FUZZED / 100);
  });
});

/** Overwrites 1 to 4 words: of the superblock mostly, else of slots, registry, control blocks or headers. */
function damage(buffer: SharedArrayBuffer, good: Uint8Array, random: () => number): void {
  const words = new Uint32Array(buffer);
  const doubles = new Float64Array(buffer);
  const used = good.findLastIndex((byte) => byte !== 0) / 4;
  for (let count = 1 + Math.floor(random() * 4); count > 0; count--) {
    const most = random() < 0.6 ? SUPERBLOCK_BYTES / 4 : used;
    const index = Math.floor(random() * most);
    const value = [
      random() * 2 ** 32,
      random() * 300,
      (random() * BYTES) / 8,
      2 ** Math.floor(random() * 32),
      0,
      0xffffffff,
    ][Math.floor(random() * 6)]!;
    words[index] = random() < 0.3 ? words[index]! ^ value : value;
  }
  // A lock that is said to be held is waited for, as long as the superblock says: that is no hang.
  if (doubles[LOCK_TIMEOUT]! > 1) doubles[LOCK_TIMEOUT] = 1;
}

/** Whether it went well. Anything but the errors that the library documents fails the test. */
function attempt(where: string, run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (error instanceof SabheapError || error instanceof RangeError) return false;
    // A lock's word may happen to say that it was closed.
    if (error instanceof ReferenceError && error.message.endsWith('was destroyed')) return false;
    throw new Error(where, { cause: error });
  }
}

function use(heap: Heap, where: string): void {
  const { u8 } = heap.memory;
  for (const size of [24, 40, 3000, 0]) {
    attempt(where, () => {
      const address = heap.alloc(size);
      expect(address + size).toBeLessThanOrEqual(BYTES);
      u8.fill(1, address, address + size);
      heap.free(address);
    });
  }
  attempt(where, () => heap.roots.get('a'));
  attempt(where, () => heap.roots.names());
  attempt(where, () => heap.stats());
  attempt(where, () => heap.flush());
  attempt(where, () => heap.verify());
  attempt(where, () => heap.detach());
}
