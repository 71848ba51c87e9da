/**
 * Superblocks that `attach` must not adopt: no heap, another version, cut short, half laid out, and
 * thousands that were overwritten at random. Those are refused, or what they lead to is sound.
 */

import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { CLASSES } from '../../src/allocators/size-class.ts';
import { LIST_BYTES } from '../../src/allocators/transfer-list.ts';
import { AttachError, SabheapError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { SLOT_BYTES } from '../../src/heap/slots.ts';
import { LAYOUT_VERSION, ROOT_LIST, ROOT_LOCK, SUPERBLOCK_BYTES } from '../../src/heap/superblock.ts';
import { KiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';

const THREADS = 4;
const SLOTS_END = SUPERBLOCK_BYTES + THREADS * SLOT_BYTES;
/** Where the caches' control block, the lock's and the algorithm's lie. */
const CACHES = SLOTS_END + 4 * KiB;
const LOCKED = CACHES + 128 + CLASSES * LIST_BYTES;
const ALGORITHM = LOCKED + 128;

// Indexes of 32-bit words, as the picture in superblock.ts has them.
const VERSION = 1;
const STATE = 6;
const MAX_THREADS = 7;
const SLOTS = 10;
const LAYOUTS = 11;
const ALLOCATOR_UNITS = 12;
// Of f64 elements.
const LOCK_TIMEOUT = 4;

/** The bytes of a heap that nobody is attached to. */
function pristine(options: HeapOptions = {}): SharedArrayBuffer {
  const heap = Heap.create({ byteLength: 64 * KiB, maxThreads: THREADS, lockTimeout: 20, ...options });
  heap.roots.set('a', heap.alloc(40));
  heap.roots.set('b', heap.alloc(40));
  heap.detach();
  return heap.buffer;
}

let attached: Heap | undefined;

function attach(buffer: SharedArrayBuffer): Heap {
  attached = Heap.attach(buffer);
  return attached;
}

afterEach(() => {
  attached?.detach();
  attached = undefined;
});

describe('what is no heap', () => {
  test('zeros, noise and too few bytes for a superblock', () => {
    for (const bytes of [8, 64, 120, 128, 64 * KiB]) {
      const buffer = new SharedArrayBuffer(bytes);
      expect(() => attach(buffer)).toThrow(AttachError);
      expect(() => attach(buffer)).toThrow('the buffer is no sabheap heap');
      new Uint8Array(buffer).fill(0x5a);
      expect(() => attach(buffer)).toThrow('the buffer is no sabheap heap');
    }
  });

  test('values of other kinds', () => {
    for (const value of [undefined, null, 7, 'heap', true]) {
      expect(() => attach(value as never), String(value)).toThrow(TypeError);
    }
    for (const value of [{}, [], new ArrayBuffer(64), { buffer: new ArrayBuffer(64) }, { buffer: null }]) {
      expect(() => attach(value as never), JSON.stringify(value)).toThrow(TypeError);
    }
    const Growable = SharedArrayBuffer as unknown as new (
      bytes: number,
      options: object,
    ) => SharedArrayBuffer;
    expect(() => attach(new Growable(64 * KiB, { maxByteLength: 128 * KiB }))).toThrow('growable');
  });
});

describe('a heap that is', () => {
  /** The bytes of a good heap after `change`. */
  function changed(change: (memory: Memory) => void): SharedArrayBuffer {
    const buffer = pristine();
    change(Memory.attach(buffer));
    return buffer;
  }

  test('untouched is attached to', () => {
    const heap = attach(changed(() => {}));
    expect(heap.roots.names()).toEqual(['a', 'b']);
    heap.verify();
  });

  test.each([0, LAYOUT_VERSION + 1, 2 ** 32 - 1])('of version %i is refused by both versions', (version) => {
    const buffer = changed(({ u32 }) => (u32[VERSION] = version));
    const message = `the heap has layout version ${version}, this library reads version ${LAYOUT_VERSION}`;
    expect(() => attach(buffer)).toThrow(new AttachError(message));
  });

  test.each([1 * KiB, 32 * KiB, 64 * KiB - 8, 64 * KiB + 8, 128 * KiB])(
    'cut or grown to %i bytes is refused by both lengths',
    (bytes) => {
      const buffer = new SharedArrayBuffer(bytes);
      new Uint8Array(buffer).set(new Uint8Array(pristine()).subarray(0, bytes));
      const message = `the heap was made with ${64 * KiB} bytes, the buffer has ${bytes}`;
      expect(() => attach(buffer)).toThrow(new AttachError(message));
    },
  );

  test('not laid out yet is refused', () => {
    const buffer = changed(({ u32 }) => (u32[STATE] = 0));
    expect(() => attach(buffer)).toThrow('not laid out yet, or its creator died');
  });

  test('whose creation failed half-way is refused', () => {
    const buffer = new SharedArrayBuffer(64 * KiB);
    for (const options of [
      { allocator: 'buddy', minBlock: 2 ** 20 },
      { lock: 'none' },
    ] as unknown as HeapOptions[]) {
      expect(() => Heap.create({ buffer, ...options })).toThrow(RangeError);
      expect(() => attach(buffer)).toThrow('not laid out yet');
    }
  });

  test.each<[string, (memory: Memory) => void]>([
    ['no threads', ({ u32 }) => (u32[MAX_THREADS] = 0)],
    ['256 threads', ({ u32 }) => (u32[MAX_THREADS] = 256)],
    ['more threads than its slots have room for', ({ u32 }) => (u32[MAX_THREADS] = THREADS + 1)],
    ['slots over the superblock', ({ u32 }) => (u32[SLOTS] = 8)],
    ['slots that reach into the layouts', ({ u32 }) => (u32[SLOTS]! += 1)],
    ['layouts below the slots', ({ u32 }) => (u32[LAYOUTS] = 8)],
    ['layouts among the slots', ({ u32 }) => (u32[LAYOUTS]! -= 8)],
    ['an allocator below the layouts', ({ u32 }) => (u32[ALLOCATOR_UNITS] = u32[LAYOUTS]! - 1)],
    ['an allocator outside the buffer', ({ u32 }) => (u32[ALLOCATOR_UNITS] = 8 * KiB)],
    ['an allocator above 4 GiB', ({ u32 }) => (u32[ALLOCATOR_UNITS] = 2 ** 32 - 1)],
    ['no lock timeout', ({ f64 }) => (f64[LOCK_TIMEOUT] = 0)],
    ['a lock timeout below 0', ({ f64 }) => (f64[LOCK_TIMEOUT] = -1)],
    ['a lock timeout that is no number', ({ f64 }) => (f64[LOCK_TIMEOUT] = Number.NaN)],
  ])('said to have %s is refused without a byte written', (_, change) => {
    const buffer = changed(change);
    const before = Buffer.from(new Uint8Array(buffer));
    expect(() => attach(buffer)).toThrow('the superblock contradicts itself: the heap was overwritten');
    expect(before.equals(new Uint8Array(buffer))).toBe(true);
  });

  test.each<[string, (memory: Memory) => void]>([
    ['its layouts', ({ u8 }) => u8.fill(0, SLOTS_END, SLOTS_END + 16)],
    ['the bounds of its layouts', ({ u8 }) => u8.fill(0xff, SLOTS_END + 4, SLOTS_END + 16)],
    ['its allocator', ({ u8 }) => u8.fill(0, CACHES, CACHES + 64)],
    ['the kind of its allocator', ({ u8 }) => (u8[CACHES] = 1)],
    ['where the lists end and the lock begins', ({ u32 }) => (u32[CACHES / 4 + 2]! += 16)],
    ['the lock behind its caches', ({ u8 }) => u8.fill(0, LOCKED, ALGORITHM)],
    ['the algorithm behind its lock', ({ u32 }) => (u32[ALGORITHM / 4] = 0)],
  ])('that lost %s is refused, and no slot stays taken', (_, change) => {
    const buffer = changed(change);
    expect(() => attach(buffer)).toThrow(SabheapError);
    expect(new Uint32Array(buffer)[SUPERBLOCK_BYTES / 4]).toBe(0);
  });

  test('whose creator was attached as another heap over the same buffer is the new one', () => {
    const first = Heap.create({ byteLength: 64 * KiB, maxThreads: THREADS });
    const second = Heap.create({ buffer: first.buffer, maxThreads: THREADS });
    expect(second.id).not.toBe(first.id);
    expect(attach(first.buffer)).toBe(second);
    first.detach();
  });
});

describe('overwritten at random', () => {
  const word = fc.oneof(
    fc.integer({ min: 0, max: 300 }),
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    fc.nat(31).map((bit) => 2 ** bit),
    fc.integer({ min: 0, max: 8 * KiB }),
  );
  const damage = (bytes: number) =>
    fc.array(fc.record({ index: fc.nat(bytes / 4 - 1), word, flip: fc.boolean() }), {
      minLength: 1,
      maxLength: 3,
    });

  /** Runs what may be refused; anything but the library's own errors, or RangeError, fails the test. */
  function attempt(run: () => unknown): boolean {
    try {
      run();
      return true;
    } catch (error) {
      if (error instanceof SabheapError || error instanceof RangeError) return false;
      throw error;
    }
  }

  /** Uses a heap for all that the superblock has a say in. */
  function use(heap: Heap): void {
    const { u32 } = heap.memory;
    const address = heap.alloc(100);
    expect(address).not.toBe(NULL);
    heap.memory.u8.fill(0xee, address, address + 100);
    heap.verify();
    heap.free(address);
    // A lock that is said to be held is waited for, for as long as the superblock says.
    if (u32[ROOT_LOCK / 4] !== 0) return;
    attempt(() => heap.roots.names());
    attempt(() => heap.roots.get('b'));
    attempt(() => heap.roots.set('c', address));
    attempt(() => heap.roots.delete('b'));
  }

  test('a superblock is refused without a byte written but for the slots, or its heap is sound', () => {
    const good = new Uint8Array(pristine()).slice();
    const buffer = new SharedArrayBuffer(64 * KiB);
    const bytes = new Uint8Array(buffer);
    const words = new Uint32Array(buffer);
    const butSlots = () => Buffer.concat([bytes.subarray(0, SUPERBLOCK_BYTES), bytes.subarray(SLOTS_END)]);
    fc.assert(
      fc.property(damage(SUPERBLOCK_BYTES), (changes) => {
        bytes.set(good);
        for (const { index, word, flip } of changes) words[index] = flip ? words[index]! ^ word : word;
        const before = butSlots();
        if (!attempt(() => attach(buffer))) {
          expect(before.equals(butSlots()), 'a refusal wrote').toBe(true);
          return;
        }
        const heap = attached!;
        expect(heap.threadSlot).toBe(1);
        use(heap);
        attempt(() => heap.detach());
      }),
      { numRuns: 4000 },
    );
  });

  test.each(['tlsf', 'linked-list', 'buddy', 'bump'] as const)(
    'the control blocks of %s: refused, or used on without a hang and with the own errors alone',
    (allocator) => {
      const good = new Uint8Array(pristine({ allocator, cache: true })).slice();
      const buffer = new SharedArrayBuffer(64 * KiB);
      const bytes = new Uint8Array(buffer);
      const words = new Uint32Array(buffer);
      const parts = [CACHES, LOCKED, ALGORITHM];
      fc.assert(
        fc.property(fc.constantFrom(...parts), damage(64), (part, changes) => {
          bytes.set(good);
          for (const { index, word, flip } of changes) {
            const at = part / 4 + index;
            words[at] = flip ? words[at]! ^ word : word;
          }
          const below = Buffer.from(bytes.subarray(0, SUPERBLOCK_BYTES));
          if (!attempt(() => attach(buffer))) return;
          const heap = attached!;
          for (const size of [40, 3000, 40, 20_000]) attempt(() => heap.free(heap.alloc(size)));
          attempt(() => heap.stats());
          attempt(() => heap.verify());
          expect(below.equals(bytes.subarray(0, SUPERBLOCK_BYTES)), 'the superblock was written').toBe(true);
          attempt(() => heap.detach());
        }),
        { numRuns: 400 },
      );
    },
  );

  test('a root list that runs in a circle is found, not followed for ever', () => {
    const buffer = pristine();
    const { u32 } = Memory.attach(buffer);
    const first = u32[ROOT_LIST]!;
    const second = u32[first / 4]!;
    for (const [from, to] of [
      [second, first],
      [second, second],
      [first, first],
    ] as const) {
      const kept = u32[from / 4]!;
      u32[from / 4] = to;
      const heap = attach(buffer);
      expect(() => heap.roots.names()).toThrow('circle');
      expect(() => heap.roots.get('nowhere')).toThrow('circle');
      expect(() => heap.roots.set('nowhere', first as never)).toThrow('circle');
      u32[from / 4] = kept;
      expect(heap.roots.names()).toEqual(['a', 'b']);
      heap.detach();
    }
  });
});
