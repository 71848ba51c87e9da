/** Images: what was in the heap is in its image, and nothing else is taken for one. */

import { type Arbitrary, default as fc } from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { threadId } from '#platform';
import { Channel } from '../../src/channels/channel.ts';
import { Box, box } from '../../src/containers/box.ts';
import { SharedMap } from '../../src/containers/map.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { Semaphore } from '../../src/containers/semaphore.ts';
import { string } from '../../src/containers/string.ts';
import { vec } from '../../src/containers/vec-field.ts';
import { AttachError, BusyError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { ThreadSlots } from '../../src/heap/slots.ts';
import { readSuperblock } from '../../src/heap/superblock.ts';
import { type Address, GiB, KiB, MiB, NULL } from '../../src/memory/address.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { anotherThread, leave } from '../misuse/another-thread.ts';

const KINDS: readonly [name: string, options: HeapOptions][] = [
  ['tlsf', { allocator: 'tlsf' }],
  ['tlsf without caches', { allocator: 'tlsf', cache: false }],
  ['linked-list', { allocator: 'linked-list' }],
  ['buddy', { allocator: 'buddy' }],
  ['buddy without caches', { allocator: 'buddy', cache: false }],
  ['bump', { allocator: 'bump' }],
];

const Person = struct('Person', { name: string, scores: vec(f64) });

const heaps: Heap[] = [];
afterEach(() => {
  for (const heap of heaps.splice(0)) heap.detach();
});

function make(options: HeapOptions = {}): Heap {
  const heap = Heap.create({ byteLength: MiB, maxThreads: 4, ...options });
  heaps.push(heap);
  return heap;
}

function restore(...args: Parameters<typeof Heap.restore>): Heap {
  const heap = Heap.restore(...args);
  heaps.push(heap);
  return heap;
}

function slotsOf({ memory }: Heap): ThreadSlots {
  const { slots, maxThreads } = readSuperblock(memory);
  return new ThreadSlots(memory, slots, maxThreads);
}

/** Every block that is given out: where, in what state, and its bytes. */
function contentsOf(heap: Heap): object[] {
  return [...heap.blocks()]
    .filter(({ state }) => state !== 'free')
    .map(({ address, size, state }) => ({
      ...{ address, size, state },
      bytes: Buffer.from(heap.memory.bytes(address, size)).toString('base64'),
    }));
}

/** The same as a heap shows it whose thread has left. */
function leftBehind(contents: object[]): object[] {
  return contents.map((block) => ({
    ...block,
    ...('live' === (block as { state: string }).state && ORPHAN),
  }));
}
const ORPHAN = { state: 'orphan' };

describe.each(KINDS)('%s', (_, options) => {
  test('containers are there under their names, and can be changed', () => {
    const heap = make(options);
    const map = SharedMap.create(heap, string, u32);
    for (let i = 0; i < 1000; i++) map.set(`key ${i}`, i);
    heap.roots.set('map', map);
    heap.roots.set('person', heap.new(Person, { name: 'Ada Lovelace, Countess', scores: [1, 2, 3] }));
    const copy = restore(heap.snapshot());
    expect(copy.id).not.toBe(heap.id);
    copy.verify();
    const found = copy.roots.open('map', SharedMap.type(string, u32))!;
    expect(found.size).toBe(1000);
    for (let i = 0; i < 1000; i++) expect(found.get(`key ${i}`)).toBe(i);
    for (let i = 0; i < 2000; i++) found.set(`key ${i}`, -1 >>> 0);
    expect(JSON.parse(JSON.stringify(copy.roots.open('person', Person)))).toEqual({
      name: 'Ada Lovelace, Countess',
      scores: [1, 2, 3],
    });
    copy.verify();
    expect(map.get('key 1'), 'the old heap is another one').toBe(1);
    expect(heap.roots.names()).toEqual(copy.roots.names());
  });

  test('is as the heap was, whatever was allocated and freed (fast-check)', () => {
    fc.assert(
      fc.property(arbitrarySteps(), (steps) => {
        const heap = Heap.create({ byteLength: 512 * KiB, maxThreads: 2, ...options });
        const first = heap.stats().largestFree;
        const live = takeSteps(heap, steps);
        const before = heap.snapshot();
        const contents = contentsOf(heap);
        const copy = Heap.restore(before);
        copy.verify();
        expect(contentsOf(copy)).toEqual(leftBehind(contents));
        const { capacity, used, free, largestFree, liveBlocks } = heap.stats();
        expect(copy.stats()).toMatchObject({ capacity, used, free, largestFree, liveBlocks });
        expect(contentsOf(heap), 'the heap that the image was taken of stays as it was').toEqual(contents);
        for (const address of live) copy.free(address);
        copy.flush();
        copy.verify();
        expect(copy.stats()).toMatchObject({ liveBlocks: 0, largestFree: first });
        expect(copy.alloc(first)).not.toBe(NULL);
        copy.detach();
        heap.detach();
      }),
      { numRuns: 40 },
    );
  });

  test('takes as many bytes as are in use', () => {
    const heap = make({ byteLength: 128 * MiB, ...options });
    const maps = options.allocator === 'buddy' ? 2 * MiB : 0;
    expect(heap.snapshot().length).toBeLessThan(64 * KiB);
    const blocks = Array.from({ length: 16 }, () => heap.alloc(MiB - 64));
    // Gaps below the last block are left out too; bump does not give them back.
    for (const address of blocks.filter((_, index) => index % 4 === 1)) heap.free(address);
    const kept = 12 * MiB;
    expect(heap.snapshot().length).toBeGreaterThan(kept - 16 * 64);
    expect(heap.snapshot().length).toBeLessThan(kept + 64 * KiB + maps);
  });
});

/** [what, size, content] in turns: allocate, free the nth, grow or shrink the nth, make garbage of the cache. */
type Steps = readonly (readonly [number, number, number])[];

function arbitrarySteps(): Arbitrary<Steps> {
  const size = fc.oneof(fc.nat(200), fc.nat(5000), fc.nat(40_000));
  return fc.array(fc.tuple(fc.nat(5), size, fc.nat()), { maxLength: 120 });
}

/** Takes the steps and returns what is live. */
function takeSteps(heap: Heap, steps: Steps): Address[] {
  const live: Address[] = [];
  for (const [what, size, seed] of steps) {
    const index = seed % (live.length || 1);
    if (what === 0 && live.length > 0) {
      heap.free(live.splice(index, 1)[0]!);
    } else if (what === 1 && live.length > 0) {
      const moved = heap.realloc(live[index]!, size);
      if (moved !== NULL) live[index] = moved;
    } else if (what === 2 && live.length > 0) {
      heap.share(live[index]!);
    } else {
      const address = heap.alloc(size);
      if (address === NULL) continue;
      live.push(address);
      heap.memory.bytes(address, size).fill(seed);
    }
  }
  return live;
}

test('a heap of 4 GiB with 10 MiB in use has an image of 10 MiB', () => {
  const heap = make({ byteLength: 4 * GiB });
  for (let i = 0; i < 10; i++) heap.alloc(MiB);
  const image = heap.snapshot();
  expect(image.length).toBeGreaterThan(10 * MiB);
  expect(image.length).toBeLessThan(10.1 * MiB);
  const copy = restore(image);
  expect(copy.memory.byteLength).toBe(4 * GiB);
  expect(copy.alloc(3 * GiB)).not.toBe(NULL);
  copy.verify();
});

describe('no thread of the old heap', () => {
  test('is in the new one: slots are free and go on counting, blocks are nobody’s', () => {
    const heap = make();
    leave(anotherThread(heap), heap);
    const own = heap.alloc(100);
    const shared = heap.alloc(100);
    heap.share(shared);
    const sent = heap.alloc(100);
    heap.trySend(sent);
    const copy = restore(heap.snapshot());
    expect(copy.threads()).toMatchObject([{ slot: 1, generation: 2, state: 'active' }]);
    const states = new Map([...copy.blocks()].map(({ address, state }) => [address, state]));
    expect([own, shared, sent].map((address) => states.get(address))).toEqual(['orphan', 'shared', 'flight']);
    expect(copy.tryReceive(sent), 'what was on its way arrives').toBe(true);
    expect(anotherThread(copy).thread).toMatchObject({ slot: 2, generation: 2 });
    expect(() => copy.reap(heap.threads()[0]!.threadId), 'nobody is known of').toThrow(RangeError);
  });

  test('may be attached when it is taken', () => {
    const heap = make();
    const other = anotherThread(heap);
    expect(() => heap.snapshot()).toThrow(BusyError);
    expect(() => heap.snapshot()).toThrow(`cannot be saved: it is held by thread ${threadId()} (slot 2)`);
    other.rest();
    expect(() => heap.snapshot(), 'nor at rest').toThrow(BusyError);
    other.resume();
    leave(other, heap);
    restore(heap.snapshot()).verify();
  });

  test('may come meanwhile', () => {
    const heap = make();
    const slots = slotsOf(heap);
    const { memory } = heap;
    // The walk over the blocks reads this array often: the first time the other thread comes and goes.
    let came = false;
    const { u8 } = memory;
    Object.defineProperty(memory, 'u8', {
      get() {
        if (!came) slots.giveBack(slots.take());
        came = true;
        return u8;
      },
    });
    expect(() => heap.snapshot()).toThrow(/a thread that attached meanwhile/);
    expect(came).toBe(true);
    restore(heap.snapshot()).verify();
  });

  test('is waited for when it is dead: it is reaped first', () => {
    const heap = make();
    const victim = anotherThread(heap);
    const left = victim.alloc(100);
    slotsOf(heap).markDead(victim.thread.slot, victim.thread.generation);
    const copy = restore(heap.snapshot());
    expect(copy.threads()).toHaveLength(1);
    expect([...copy.blocks()].find(({ address }) => address === left)?.state).toBe('orphan');
  });

  test('holds anything: what the dead had is had by the living', () => {
    const heap = make({ lockTimeout: 500 });
    heap.roots.set('mutex', Mutex.create(heap, u32, 7));
    heap.roots.set('rwlock', RwLock.create(heap, u32, 8));
    heap.roots.set('semaphore', Semaphore.create(heap, 1));
    const victim = anotherThread(heap);
    victim.roots.open('mutex', Mutex.type(u32))!.lock();
    victim.roots.open('rwlock', RwLock.type(u32))!.lockRead();
    victim.roots.open('semaphore', Semaphore)!.acquire();
    heap.reap({ slot: victim.thread.slot, generation: victim.thread.generation });
    const copy = restore(heap.snapshot());
    const next = anotherThread(copy);
    expect(next.thread).toMatchObject({ slot: 2, generation: 2 });
    const mutex = next.roots.open('mutex', Mutex.type(u32))!;
    mutex.with((cell, { recovered }) => expect([cell.value, recovered]).toEqual([7, true]));
    next.roots.open('rwlock', RwLock.type(u32))!.write((cell) => expect(cell.value).toBe(8));
    next.roots.open('semaphore', Semaphore)!.with(() => {});
  });
});

function mapOf(heap: Heap, type: typeof Person): SharedMap<typeof string, typeof Person> {
  const map = SharedMap.create(heap, string, type);
  map.set('a', { name: 'a', scores: [1] });
  return map;
}

describe('what this thread has in its hands', () => {
  test.each<[string, (heap: Heap, attempt: () => void) => void]>([
    ['a mutex', (heap, attempt) => Mutex.create(heap, u32, 1).with(attempt)],
    ['a lock for writing', (heap, attempt) => RwLock.create(heap, u32, 1).write(attempt)],
    ['a shard of a map', (heap, attempt) => mapOf(heap, Person).with('a', attempt)],
  ])('%s: refused', (_, hold) => {
    const heap = make();
    let tried = false;
    hold(heap, () => {
      tried = true;
      expect(() => heap.snapshot()).toThrow(/held by this thread, which has a lock/);
    });
    expect(tried).toBe(true);
    restore(heap.snapshot()).verify();
  });

  test('what lies in a channel is on its way', () => {
    const heap = make();
    const channel = Channel.create(heap, box(Person), { capacity: 4 });
    channel.send(Box.create(heap, Person, { name: 'one that is on its way', scores: [] }));
    heap.roots.set('channel', channel);
    const copy = restore(heap.snapshot());
    const received = copy.roots.open('channel', Channel.type(box(Person)))!.recv()!;
    expect(received.value.name.toString()).toBe('one that is on its way');
    received.drop();
    copy.verify();
  });
});

describe('a longer heap', () => {
  test.each(KINDS)('%s: claim takes what is more', (_, options) => {
    const reserved = { byteLength: 4 * MiB, initialBytes: MiB, ...options };
    const heap = make(options.allocator === 'buddy' ? reserved : options);
    heap.memory.bytes(heap.alloc(100), 100).fill(7);
    const contents = contentsOf(heap);
    const copy = restore(heap.snapshot(), { byteLength: 8 * MiB });
    expect(copy.memory.byteLength).toBe(8 * MiB);
    expect(copy.stats().capacity).toBe(heap.stats().capacity);
    expect(copy.alloc(2 * MiB)).toBe(NULL);
    expect(copy.claim(3 * MiB - (options.allocator === 'buddy' ? MiB : 0))).toBe(true);
    expect(copy.alloc(MiB)).not.toBe(NULL);
    copy.verify();
    expect(contentsOf(copy)[0]).toEqual(leftBehind(contents)[0]);
    expect(Heap.attach(copy.handle)).toBe(copy);
    const again = restore(copy.snapshot());
    expect(again.memory.byteLength).toBe(8 * MiB);
  });

  test('a shorter one will do when it holds what was claimed', () => {
    const heap = make({ byteLength: 4 * MiB, initialBytes: MiB });
    const image = heap.snapshot();
    expect(restore(image, { byteLength: MiB }).memory.byteLength).toBe(MiB);
    for (const byteLength of [MiB - 8, 0, -1, 1.5, 5 * GiB, Number.NaN]) {
      expect(() => Heap.restore(image, { byteLength })).toThrow(RangeError);
    }
  });
});

describe('what is no image', () => {
  const heap = Heap.create({ byteLength: 64 * KiB, maxThreads: 1 });
  heap.roots.set('one', heap.alloc(100));
  const image = heap.snapshot();
  heap.detach();

  test('the untouched one is fine', () => {
    restore(image).verify();
    const at = Buffer.alloc(image.length + 3);
    for (const offset of [1, 2, 3]) {
      at.set(image, offset);
      restore(at.subarray(offset, offset + image.length)).verify();
    }
  });

  test('every altered byte is found', () => {
    const altered = image.slice();
    for (let index = 0; index < altered.length; index++) {
      // One bit, or all of them.
      const change = index % 2 === 0 ? 0xff : 1 << (index % 8);
      altered[index]! ^= change;
      expect(() => Heap.restore(altered), `byte ${index}`).toThrow(AttachError);
      altered[index]! ^= change;
    }
    restore(altered).verify();
  });

  test('it is refused when cut at any length, or longer', () => {
    for (let length = 0; length < image.length; length++) {
      expect(() => Heap.restore(image.subarray(0, length)), `${length} bytes`).toThrow(AttachError);
    }
    const longer = new Uint8Array(image.length + 8);
    longer.set(image);
    expect(() => Heap.restore(longer)).toThrow(/it has .* bytes and says/);
  });

  test('of another version, it says so', () => {
    const other = image.slice();
    new Uint32Array(other.buffer)[1] = 7;
    expect(() => Heap.restore(other)).toThrow(/the image has version 7, this library reads version 1/);
  });

  test('something else is refused as that', () => {
    expect(() => Heap.restore(new Uint8Array(1000))).toThrow(/no heap image/);
    expect(() => Heap.restore(new Uint8Array())).toThrow(/no heap image/);
    expect(() => Heap.restore(image.buffer as never)).toThrow(TypeError);
  });
});
