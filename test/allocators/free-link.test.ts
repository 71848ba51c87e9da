/**
 * Encoded free links: what is written over the link of a free block is found before it is followed, whatever it
 * is, and nothing is written where it leads. In plain ones a value that happens to be a block's place passes.
 */

import { describe, expect, test } from 'vitest';
import type { Algorithm } from '../../src/allocators/algorithm.ts';
import { BuddyAllocator } from '../../src/allocators/buddy.ts';
import { Checked } from '../../src/allocators/checked.ts';
import { encodedLinks, linkKeyFrom } from '../../src/allocators/free-link.ts';
import { HybridAllocator } from '../../src/allocators/hybrid.ts';
import type { AlgorithmClass } from '../../src/allocators/kinds.ts';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import { PoolAllocator } from '../../src/allocators/pool.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { HeapCorruptionError } from '../../src/errors.ts';
import { type Address, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { SEED } from '../random.ts';

const START = 4096;
const BYTES = 16 * 1024;
const AROUND = 0xc3;
const SIZE = 56;

/** Algorithm, its options, and which words of a free block's payload are links. */
const kinds: readonly [string, AlgorithmClass, object, number][] = [
  ['linked list', LinkedListAllocator as AlgorithmClass, {}, 2],
  ['TLSF', TlsfAllocator as AlgorithmClass, {}, 2],
  ['buddy', BuddyAllocator as AlgorithmClass, { minBlock: 16 }, 2],
  ['pool', PoolAllocator as unknown as AlgorithmClass, { blockSize: SIZE + 8 }, 1],
  [
    'hybrid',
    HybridAllocator as unknown as AlgorithmClass,
    { allocator: TlsfAllocator, temporaryBytes: 128 },
    2,
  ],
];

/** a live, b free, c live, d free, e live; no quarantine, so that what is freed is linked at once. */
class Scene {
  readonly memory = Memory.create(START + 2 * BYTES);
  readonly checked: Checked;
  readonly live: Address[];
  readonly freed: Address[];

  constructor(allocator: AlgorithmClass, options: object) {
    this.memory.u8.fill(AROUND);
    this.memory.u8.fill(0, START, START + BYTES);
    const where = { start: START, byteLength: BYTES, quarantine: 0, seed: SEED };
    this.checked = Checked.create(this.memory, { ...where, allocator, options });
    const blocks = Array.from({ length: 5 }, () => this.checked.alloc(SIZE));
    this.live = blocks.filter((_, i) => i % 2 === 0);
    this.freed = blocks.filter((_, i) => i % 2 === 1);
    for (const address of this.live) this.memory.u8.fill(0x11, address, address + SIZE);
    for (const address of this.freed) this.checked.free(address);
    this.checked.verify();
  }

  /** Allocates until there is no room, or something is wrong. */
  allocateAll(): unknown {
    try {
      while (this.checked.alloc(SIZE) !== NULL);
      return undefined;
    } catch (error) {
      return error;
    }
  }

  /** Checks that nothing was written outside of the region, or into what is live. */
  expectUntouched(): void {
    const { u8 } = this.memory;
    expect(u8.subarray(0, START).every((byte) => byte === AROUND)).toBe(true);
    expect(u8.subarray(START + BYTES).every((byte) => byte === AROUND)).toBe(true);
    for (const address of this.live) {
      expect(u8.subarray(address, address + SIZE).every((byte) => byte === 0x11)).toBe(true);
    }
  }
}

/** What may be written over a link: plain places of other blocks among them, as block or as payload. */
function* values(scene: Scene): IterableIterator<number> {
  for (const address of [...scene.live, ...scene.freed]) yield* [address / 8, address / 8 - 1];
  yield* [0, 1, -1, START / 8, (START + BYTES) / 8, 0x41414141, 0x7fffffff, -0x80000000];
}

describe.each(kinds)('checked over %s', (name, allocator, options, links) => {
  const count = [...values(new Scene(allocator, options))].length;
  const rows = Array.from(
    { length: count * links * 2 },
    (_, i) => [i % count, Math.floor(i / count)] as const,
  );
  console.log(`free links over ${name}: SEED=${SEED}`);

  /** A scene with one link overwritten, and the block whose link it is. */
  function damaged([value, place]: readonly [number, number]): [Scene, Address] {
    const scene = new Scene(allocator, options);
    const block = scene.freed[place >>> (links - 1)]!;
    const index = block / 4 + (place & (links - 1));
    const word = [...values(scene)][value]!;
    expect(scene.memory.i32[index], 'the link happens to be what is written: another seed').not.toBe(word);
    scene.memory.i32[index] = word;
    return [scene, block];
  }

  /** That the error names the damaged block: by its payload, or by its header below. */
  function expectNamed(error: unknown, block: Address): void {
    expect(error).toBeInstanceOf(HeapCorruptionError);
    expect([block, block - 8], (error as Error).message).toContain((error as HeapCorruptionError).address);
  }

  test('a link that was overwritten is found by verify, which names its block', () => {
    for (const row of rows) {
      const [scene, block] = damaged(row);
      let error: unknown;
      try {
        scene.checked.verify();
      } catch (thrown) {
        error = thrown;
      }
      expectNamed(error, block);
    }
  });

  test('it is found when an alloc comes upon it, and nothing is written where it leads', () => {
    for (const row of rows) {
      const [scene, block] = damaged(row);
      expectNamed(scene.allocateAll(), block);
      scene.expectUntouched();
      // Whoever goes on regardless does no harm either.
      for (const address of scene.live) {
        try {
          scene.checked.free(address);
        } catch (error) {
          expect(error).toBeInstanceOf(HeapCorruptionError);
        }
      }
      scene.live.length = 0;
      scene.allocateAll();
      scene.expectUntouched();
    }
  });

  test('no link is plain, and another handle reads them', () => {
    const scene = new Scene(allocator, options);
    const { i32 } = scene.memory;
    const places = new Set([...scene.freed, ...scene.live].flatMap((at) => [at / 8, at / 8 - 1, 0]));
    for (const block of scene.freed) {
      for (let at = 0; at < links; at++) expect(places.has(i32[block / 4 + at]!)).toBe(false);
    }
    const other = Checked.attach(scene.memory, START);
    other.verify();
    expect(scene.freed).toContain(other.alloc(SIZE));
    other.inner.rebuild();
    scene.checked.verify();
  });
});

/** Writes a free block that is none into a live one, and has the link of a free block lead there. */
function forge({ memory: { i32 } }: Algorithm, freed: Address, live: Address): void {
  const [from, to, units] = [freed / 8 - 1, live / 8 + 2, 12];
  i32.set([(units << 3) | 1, 0, 0, from], to * 2);
  i32[(to + units) * 2 - 1] = units;
  i32[from * 2 + 2] = to;
}

test('a free block that is forged whole passes with plain links, and not with encoded ones', () => {
  const memory = Memory.create(2 * BYTES);
  const plain = TlsfAllocator.create(memory, { byteLength: BYTES });
  const where = { start: BYTES, allocator: TlsfAllocator, quarantine: 0, seed: SEED };
  const checked = Checked.create(memory, where);
  for (const [allocator, size] of [
    [plain, 88],
    [checked, 80],
  ] as const) {
    const freed = allocator.alloc(size);
    const live = allocator.alloc(400);
    allocator.free(freed);
    forge(allocator, freed, live);
    if (allocator === plain) {
      expect(allocator.alloc(size)).toBe(freed);
      const given = allocator.alloc(size);
      expect(given > live && given < live + 400, 'what was given out lies in a live block').toBe(true);
    } else {
      expect(() => allocator.alloc(size)).toThrow(HeapCorruptionError);
    }
  }
});

test('a footer is a checksum of the header: who forges one without the other is found', () => {
  for (const allocator of [LinkedListAllocator, TlsfAllocator] as AlgorithmClass[]) {
    const scene = new Scene(allocator, {});
    const { i32 } = scene.memory;
    const [block] = scene.freed as [Address];
    const units = i32[block / 4 - 2]! >>> 3;
    // As long as the block and the live one above together, with the footer that plain links would have.
    const longer = 2 * units;
    i32[block / 4 - 2] = (longer << 3) | 1;
    i32[(block / 8 - 1 + longer) * 2 - 1] = longer;
    expect(() => scene.checked.verify()).toThrow(HeapCorruptionError);
    expect(scene.allocateAll()).toBeInstanceOf(HeapCorruptionError);
  }
});

test('links are encoded by key and place, and read back', () => {
  const i32 = new Int32Array(64);
  const [one, two] = [encodedLinks(i32, linkKeyFrom(SEED)), encodedLinks(i32, linkKeyFrom(SEED ^ 1))];
  for (let index = 0; index < i32.length; index++) one.setLink(index, 5);
  expect(new Set(i32).size).toBe(i32.length);
  for (let index = 0; index < i32.length; index++) {
    expect(one.linkAt(index)).toBe(5);
    expect(two.linkAt(index)).not.toBe(5);
  }
  expect(linkKeyFrom(0xffffffff)).not.toBe(0);
});

test('without a key they are plain', () => {
  const memory = Memory.create(START);
  const allocator: Algorithm = TlsfAllocator.create(memory);
  const [a, , b] = Array.from({ length: 4 }, () => allocator.alloc(40)) as [Address, Address, Address];
  allocator.free(a);
  allocator.free(b);
  expect(memory.u32[b / 4]! * 8).toBe(a - 8);
});
