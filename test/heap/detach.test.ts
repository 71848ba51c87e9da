/**
 * Leaving a heap: by `detach()`, by ending, by `process.exit`, and without a chance to do so. Blocks stay
 * as nobody's, the slot serves the next thread, unless the thread had a lock: then it stays as it is.
 */

import { afterEach, describe, expect, test } from 'vitest';
import { DetachedError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { type Address, MiB, NULL } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { STEP, WORD } from '../stress/steps.ts';
import { told, type Visit, visit } from './visitor.ts';

const Point = struct('Point', { x: u32, y: u32 });
const made: Heap[] = [];

function create(options: HeapOptions = {}): Heap {
  const heap = Heap.create({ byteLength: MiB, maxThreads: 4, lockTimeout: 60_000, ...options });
  made.push(heap);
  return heap;
}

afterEach(() => {
  for (const heap of made.splice(0)) heap.detach();
});

const statesOf = (heap: Heap) => new Map([...heap.blocks()].map(({ address, state }) => [address, state]));

describe('detach()', () => {
  test('leaves live blocks as orphans, shared ones shared, and gives the cache back', () => {
    const heap = create();
    const { handle } = heap;
    const live = [heap.alloc(10), heap.alloc(3000), heap.alloc(100_000), heap.alloc(64, 4096)];
    const shared = heap.alloc(10);
    heap.share(shared);
    for (let i = 0; i < 50; i++) heap.free(heap.alloc(i * 20));
    heap.detach();
    const next = Heap.attach(handle);
    made.push(next);
    const states = statesOf(next);
    expect(live.map((address) => states.get(address))).toEqual(['orphan', 'orphan', 'orphan', 'orphan']);
    expect(states.get(shared)).toBe('shared');
    expect([...states.values()]).not.toContain('hand');
    for (const address of [...live, shared]) next.free(address);
    next.flush();
    next.verify();
    expect(next.stats()).toMatchObject({ used: 0, liveBlocks: 0, racedFrees: 0 });
  });

  test('twice does nothing, and a later tenant of the slot is not touched', () => {
    const heap = create();
    const { handle } = heap;
    heap.detach();
    const next = Heap.attach(handle);
    made.push(next);
    const address = next.alloc(8);
    heap.detach();
    expect(next.threads()).toHaveLength(1);
    expect(statesOf(next).get(address)).toBe('live');
    expect(Heap.attach(handle)).toBe(next);
  });

  test('makes every later use of the handle a DetachedError, which writes nothing', () => {
    const heap = create();
    const address = heap.alloc(64);
    const view = heap.new(Point, { x: 1 });
    const { roots } = heap;
    const arena = heap.arena(100);
    const lock = heap.lock(address);
    const remove = heap.onExhausted(() => false);
    heap.detach();
    const before = Buffer.from(heap.memory.u8);
    const uses: Record<string, () => unknown> = {
      alloc: () => heap.alloc(8),
      allocZeroed: () => heap.allocZeroed(8),
      realloc: () => heap.realloc(address, 100),
      resize: () => heap.resize(address, 100),
      free: () => heap.free(address),
      sizeOf: () => heap.sizeOf(address),
      stats: () => heap.stats(),
      blocks: () => [...heap.blocks()],
      verify: () => heap.verify(),
      onExhausted: () => heap.onExhausted(() => true),
      claim: () => heap.claim(1000),
      arena: () => heap.arena(100),
      scope: () => heap.scope(() => 1),
      new: () => heap.new(Point),
      at: () => heap.at(Point, view.address),
      delete: () => heap.delete(view),
      share: () => heap.share(address),
      tryShare: () => heap.tryShare(address),
      lock: () => heap.lock(address),
      flush: () => heap.flush(),
      rest: () => heap.rest(),
      resume: () => heap.resume(),
      threads: () => heap.threads(),
      track: () => heap.track(),
      describe: () => heap.describe(),
      toJSON: () => JSON.stringify(heap),
      setDefault: () => Heap.setDefault(heap),
      'roots.set': () => heap.roots.set('a', address),
      'roots.get': () => roots.get('a'),
      'roots.has': () => roots.has('a'),
      'roots.open': () => roots.open('a', Point),
      'roots.delete': () => roots.delete('a'),
      'roots.names': () => roots.names(),
      'roots.openOrCreate': () => roots.openOrCreate('a', Point, () => address),
      'arena.release': () => arena.release(),
    };
    for (const [name, use] of Object.entries(uses)) expect(use, name).toThrow(DetachedError);
    expect(() => heap.alloc(8)).toThrow('call Heap.attach(handle) again');
    expect(before.equals(heap.memory.u8)).toBe(true);
    remove();
    expect(lock.owner).toBe(0);
    expect(heap).toMatchObject({ threadSlot: 1, handle: { kind: 'sabheap' } });
  });

  test('is what `using` does, where the runtime has it', () => {
    const heap = create();
    expect(Symbol.dispose).toBeDefined();
    heap[Symbol.dispose]();
    expect(() => heap.alloc(8)).toThrow(DetachedError);
  });

  test('of a thread at rest takes its cache along, drained or not', () => {
    for (const drain of [false, true]) {
      const heap = create();
      const { handle } = heap;
      for (const address of Array.from({ length: 50 }, () => heap.alloc(100))) heap.free(address);
      heap.rest();
      // The request of the thread at rest itself stands for another thread's: it takes all there is.
      if (drain) expect(heap.alloc(2 * MiB)).toBe(NULL);
      heap.detach();
      const next = Heap.attach(handle);
      made.push(next);
      next.verify();
      expect([...next.blocks()].map(({ state }) => state)).not.toContain('hand');
      expect(next.stats()).toMatchObject({ used: 0, racedFrees: 0 });
      expect(next.threads()).toMatchObject([{ slot: 1, generation: 2, state: 'active' }]);
    }
  });

  test('with a lock held leaves the slot to others, and the lock leads to it', () => {
    const heap = create();
    const { handle } = heap;
    const address = heap.allocZeroed(8);
    heap.lock(address).acquire();
    heap.detach();
    const next = Heap.attach(handle);
    made.push(next);
    expect(next.threadSlot).toBe(2);
    expect(next.threads().map(({ slot }) => slot)).toEqual([1, 2]);
    expect(() => next.lock(address).acquire(200)).toThrow(/held by thread 0 \(slot 1\)/);
  });
});

describe('a thread that ends by itself', () => {
  /** Expects what the visitor left: ten live blocks of 100 bytes, orphaned; nothing cached; its slot free. */
  function expectLeft(heap: Heap, slot: number): void {
    expect(slot).toBe(2);
    expect(heap.threads().map((thread) => thread.slot)).toEqual([1]);
    const orphans = [...heap.blocks()].filter(({ state }) => state === 'orphan');
    const shared = [...heap.blocks()].filter(({ state }) => state === 'shared');
    expect(orphans).toHaveLength(9);
    expect(heap.roots.names()).toEqual(['left behind']);
    expect(shared.map(({ address }) => address)).toContain(heap.roots.get('left behind'));
    for (const { address } of orphans) heap.free(address);
    heap.free(heap.roots.get('left behind'));
    heap.roots.delete('left behind');
    heap.flush();
    heap.verify();
    expect(heap.stats()).toMatchObject({ used: 0, liveBlocks: 0, cached: 0, racedFrees: 0 });
  }

  test('detaches at its end', async () => {
    const heap = create();
    const visitor = visit<number[]>(heap, 'leave');
    const [slot, ...kept] = await visitor.report;
    const states = statesOf(heap);
    expect(kept.map((address) => states.get(address as Address))).toEqual([
      'shared',
      ...Array.from({ length: 9 }, () => 'orphan'),
    ]);
    expectLeft(heap, slot!);
  });

  test('detaches at process.exit', async () => {
    const heap = create();
    const visitor = visit(heap, 'exit');
    await visitor.gone;
    expectLeft(heap, told(visitor));
  });

  test('detaches although it rests, and its cache was drained meanwhile', async () => {
    const heap = create();
    const visitor = visit(heap, 'exitAtRest');
    visitor.meeting.await(STEP, 1);
    expect(heap.threads()[1]).toMatchObject({ slot: 2, state: 'idle', threadId: visitor.threadId });
    expect(heap.stats().cached).toBeGreaterThan(0);
    expect(heap.alloc(2 * MiB)).toBe(NULL);
    expect(heap.stats().cached).toBe(0);
    visitor.meeting.announce(STEP, 2);
    await visitor.gone;
    expectLeft(heap, told(visitor));
  });

  test('serves as many threads one after another as it has slots for at once', async () => {
    const heap = create({ maxThreads: 2 });
    for (let round = 0; round < 5; round++) {
      const visitor = visit(heap, 'exit');
      await visitor.gone;
      expect(told(visitor)).toBe(2);
    }
    heap.verify();
    expect(heap.threads()).toHaveLength(1);
  });
});

describe('a thread that leaves with a lock in its hands', () => {
  async function expectReapable(heap: Heap, visitor: Visit<unknown>, address: Address): Promise<void> {
    await visitor.gone;
    expect(heap.threads().map(({ slot }) => slot)).toEqual([1, 2]);
    expect(heap.threads()[1]!.threadId).toBe(visitor.threadId);
    // What it guarded may be half done, and whoever takes it over is told so: see lock-inheritance.test.ts.
    heap.reap(visitor.threadId);
    heap.lock(address).acquire();
    heap.lock(address).release();
    expect(heap.threads().map(({ slot }) => slot)).toEqual([1]);
    // The heap itself goes on.
    heap.free(heap.alloc(1000));
    heap.verify();
  }

  test('by exiting stays in its slot until it is reaped', async () => {
    const heap = create();
    const address = heap.allocZeroed(8);
    const visitor = visit(heap, 'exitWithLock', address);
    await expectReapable(heap, visitor, address);
    expect(told(visitor)).toBe(2);
  });

  test('by throwing stays in its slot until it is reaped', async () => {
    const heap = create();
    const address = heap.allocZeroed(8);
    const visitor = visit(heap, 'throwWithLock', address);
    await expect(visitor.report).rejects.toThrow('dropped on purpose');
    await expectReapable(heap, visitor, address);
  });

  test('because it was terminated stays in its slot, with its blocks and its cache', async () => {
    const heap = create();
    const visitor = visit(heap, 'stay');
    visitor.meeting.await(STEP, 1);
    await visitor.worker.terminate();
    expect(heap.threads()[1]).toMatchObject({ slot: 2, ownedBlocks: 9 });
    expect(heap.stats().cached).toBeGreaterThan(0);
    expect(visitor.meeting.load(WORD)).toBe(0);
    heap.verify();
  });
});
