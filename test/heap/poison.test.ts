/** What cannot be repaired poisons the heap: whoever died with the allocator's lock left headers that are no headers. */

import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, test } from 'vitest';
import { CONTROL_BYTES, FIRST, KIND_THREAD_CACHED, kindAt } from '../../src/allocators/control.ts';
import { SharedMap } from '../../src/containers/map.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { HeapCorruptionError } from '../../src/errors.ts';
import { attached } from '../../src/heap/attached.ts';
import { Heap } from '../../src/heap/heap.ts';
import { ThreadSlots } from '../../src/heap/slots.ts';
import { readSuperblock } from '../../src/heap/superblock.ts';
import { type Address, MiB, NULL } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('Point', { x: u32, y: u32 });
const made: Heap[] = [];

afterEach(() => {
  for (const heap of made.splice(0)) attached().heaps.delete(heap.id);
});

/** A heap whose allocator is poisoned, and two blocks of it; its other thread has one too. */
function poisoned(cache: boolean): { heap: Heap; other: Heap; blocks: Address[] } {
  const heap = Heap.create({ byteLength: MiB, maxThreads: 4, cache });
  made.push(heap);
  const blocks = [heap.alloc(40), heap.alloc(40)];
  heap.roots.set('kept', heap.alloc(40));
  const [victim, other] = [another(heap), another(heap)];
  other.free(other.alloc(40));
  poison(heap, victim);
  return { heap, other, blocks };
}

/** A thread dies with the allocator's lock, and a header was overwritten. */
function poison(heap: Heap, victim = another(heap)): void {
  const block = heap.alloc(100_000);
  victim.lock(allocatorLock(victim)).acquire();
  heap.memory.u32[block / 4 - 2] = 0;
  const { slots, maxThreads } = readSuperblock(heap.memory);
  const { slot, generation } = victim.thread;
  new ThreadSlots(heap.memory, slots, maxThreads).markDead(slot, generation);
  expect(() => heap.alloc(200_000)).toThrow(HeapCorruptionError);
}

/** Where the allocator's lock lies: behind the control block of `Locked`. */
function allocatorLock({ memory }: Heap): Address {
  const { allocator } = readSuperblock(memory);
  const isCached = kindAt(memory, allocator) === KIND_THREAD_CACHED;
  const locked = isCached ? memory.u32[allocator / 4 + FIRST]! * 8 : allocator;
  return (locked + CONTROL_BYTES) as Address;
}

function another(heap: Heap): Heap {
  attached().heaps.delete(heap.id);
  const other = Heap.attach(heap.handle);
  attached().heaps.set(heap.id, heap);
  return other;
}

describe.each([true, false])('a poisoned heap; caches: %s', (cache) => {
  test('every call throws, in each thread that is attached', () => {
    const { heap, other, blocks } = poisoned(cache);
    for (const each of [heap, other]) {
      const uses: Record<string, () => unknown> = {
        alloc: () => each.alloc(100_000),
        free: () => (cache ? each.flush() : each.free(blocks[0]!)),
        stats: () => each.stats(),
        blocks: () => [...each.blocks()],
        verify: () => each.verify(),
        flush: () => each.flush(),
        claim: () => each.claim(1000),
        threads: () => each.threads(),
        recover: () => each.recover(),
        reap: () => each.reap({ slot: 2, generation: 1 }),
        snapshot: () => each.snapshot(),
        'roots.set': () => each.roots.set('kept', blocks[1]!),
        'roots.get': () => each.roots.get('kept'),
        'roots.has': () => each.roots.has('kept'),
        'roots.open': () => each.roots.open('kept', Point),
        'roots.openOrCreate': () => each.roots.openOrCreate('other', Point, () => blocks[1]!),
        'roots.delete': () => each.roots.delete('kept'),
        'roots.names': () => each.roots.names(),
      };
      for (const [name, use] of Object.entries(uses)) expect(use, name).toThrow(HeapCorruptionError);
    }
  });

  test('a cache serves until its next slow path, and no further', () => {
    const { other } = poisoned(cache);
    const allocateAll = (): void => {
      for (let address = other.alloc(40); address !== NULL; address = other.alloc(40));
    };
    expect(allocateAll).toThrow(HeapCorruptionError);
    expect(() => other.alloc(40)).toThrow(HeapCorruptionError);
  });

  test('a cache that frees fill goes on until it is full', () => {
    const heap = Heap.create({ byteLength: MiB, maxThreads: 4, cache });
    made.push(heap);
    const many = Array.from({ length: 3000 }, () => heap.alloc(40));
    poison(heap);
    expect(() => {
      for (const address of many) heap.free(address);
    }).toThrow(HeapCorruptionError);
  });

  test('who would wait for a lock of a container throws at once; one that is free goes on', () => {
    const heap = Heap.create({ byteLength: MiB, maxThreads: 4, cache });
    made.push(heap);
    const [victim, other] = [another(heap), another(heap)];
    const mutex = Mutex.create(heap, Point);
    const map = SharedMap.create(heap, u32, u32, { shards: 1 }).set(1, 1);
    const [otherMutex, otherMap] = [Mutex.open(other, mutex.handle), SharedMap.open(other, map.handle)];
    const guard = mutex.lock();
    poison(heap, victim);
    expect(() => otherMutex.lock()).toThrow(HeapCorruptionError);
    expect(() => otherMutex.tryLock()).toThrow(HeapCorruptionError);
    map.with(1, () => {
      expect(() => otherMap.set(1, 2)).toThrow(HeapCorruptionError);
      expect(() => otherMap.get(1)).toThrow(HeapCorruptionError);
    });
    guard.unlock();
    otherMap.set(1, 3);
    expect(map.get(1)).toBe(3);
    expect(() => map.destroy()).toThrow(HeapCorruptionError);
  });

  test('nobody attaches to it, and no slot is taken by who tries', () => {
    const { heap } = poisoned(cache);
    for (let i = 0; i < 5; i++) expect(() => another(heap)).toThrow(HeapCorruptionError);
    attached().heaps.set(heap.id, heap);
    const { slots, maxThreads } = readSuperblock(heap.memory);
    expect(new ThreadSlots(heap.memory, slots, maxThreads).taken()).toHaveLength(3);
  });

  test('detach throws, and the handle is given up', () => {
    const { heap } = poisoned(cache);
    expect(() => heap.detach()).toThrow(HeapCorruptionError);
    heap.detach();
    expect(attached().heaps.has(heap.id)).toBe(false);
  });
});

describe('a thread that ends by itself', () => {
  test.each(['tlsf', 'linked-list', 'bump'])('throws nothing because headers are broken: %s', (allocator) => {
    const heap = new URL('../../dist/src/index.js', import.meta.url).href;
    const script = `
      import { Heap } from ${JSON.stringify(heap)};
      const heap = Heap.create({ byteLength: 1 << 20, allocator: '${allocator}' });
      heap.memory.u8.fill(0xff, heap.alloc(100) - 8, 1 << 20);
      let says = 'sound';
      try { heap.verify(); } catch (error) { says = error.name; }
      console.log(says);`;
    const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect(said.trim()).toBe('HeapCorruptionError');
  });
});
