/** Claims that turn out not to hold, items that cannot be taken, and queues in odd places. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { SpscRing } from '../../src/channels/spsc-ring.ts';
import { string } from '../../src/containers/string.ts';
import { ClosedError, RoleTakenError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { GiB, MiB } from '../../src/memory/address.ts';
import { f64, i32, u32 } from '../../src/structs/scalars.ts';
import { Chain } from './toy-chain.ts';

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 4 * MiB });
});
afterEach(() => heap.detach());

const TAIL = 128;
const HEAD = 256;
const STATES = 512;
const chain = new Chain();

/** A channel, and its words as another thread would change them in the middle of a call. */
function bare(capacity: number, field: typeof u32 | Chain = u32) {
  const channel = Channel.create(heap, field as typeof u32, { capacity });
  const { i32 } = heap.memory;
  const word = (offset: number) => (channel.address + offset) >>> 2;
  return {
    channel,
    i32,
    tail: word(TAIL),
    head: word(HEAD),
    state: (index: number) => word(STATES + index * 4),
  };
}

describe('claims that are late', () => {
  test('a sender whose cell was passed by others within a lap keeps it', () => {
    const { channel, i32, tail } = bare(4);
    // Others pass on over the cell between its claim and the move of the tail.
    const next = Object.getPrototypeOf(channel).next as (at: number) => number;
    let moved = false;
    Object.assign(channel, {
      next(at: number) {
        if (!moved) i32[tail] = 1;
        moved = true;
        return next.call(channel, at);
      },
    });
    channel.send(7);
    channel.send(8);
    expect([channel.recv(), channel.recv()]).toEqual([7, 8]);
    channel.destroy();
  });

  test('a batch whose first cell was passed by others keeps that one only', () => {
    const { channel, i32, tail } = bare(8);
    const next = Object.getPrototypeOf(channel).next as (at: number) => number;
    let moved = false;
    Object.assign(channel, {
      next(at: number) {
        if (!moved) i32[tail] = 1;
        moved = true;
        return next.call(channel, at);
      },
    });
    expect(channel.sendAll([1, 2, 3])).toBe(3);
    expect(channel.length).toBe(3);
    channel.close();
    expect([...channel]).toEqual([1, 2, 3]);
    channel.destroy();
  });

  test('a sender whose turn came round again voids its cell and sends elsewhere', () => {
    const { channel, i32, tail, state } = bare(4);
    const next = Object.getPrototypeOf(channel).next as (at: number) => number;
    let moved = false;
    Object.assign(channel, {
      next(at: number) {
        // Many laps on, where no claim of the old position can hold.
        if (!moved) {
          i32[tail] = (1 << 14) * 4 + 1;
          i32[state(1)] = 0;
        }
        moved = true;
        return next.call(channel, at);
      },
    });
    channel.trySend(7);
    // The voided cell comes to whoever receives next, who frees it.
    expect(i32[state(0)]! >>> 18).toBe(1);
    expect(i32[state(1)]! & (7 << 15)).toBe(2 << 15);
    channel.destroy();
  });

  test('a close between the claim of a cell and the move of the tail: nothing was sent', () => {
    for (const many of [false, true]) {
      const { channel } = bare(4);
      const next = Object.getPrototypeOf(channel).next as (at: number) => number;
      let closed = false;
      Object.assign(channel, {
        next(at: number) {
          if (!closed) {
            closed = true;
            channel.close();
          }
          return next.call(channel, at);
        },
      });
      expect(() => (many ? channel.sendAll([1, 2]) : channel.send(1))).toThrow(ClosedError);
      expect(channel.recv()).toBeUndefined();
      expect(channel.drained).toBe(true);
      channel.destroy();
    }
    expect(heap.stats().liveBlocks).toBe(0);
  });

  test.each([false, true])('a receiver whose turn came round gives the item back (many: %s)', (many) => {
    const { channel, i32, head } = bare(4);
    channel.sendAll([1, 2, 3]);
    const next = Object.getPrototypeOf(channel).next as (at: number) => number;
    let moved = false;
    Object.assign(channel, {
      next(at: number) {
        if (!moved) {
          moved = true;
          i32[head] = (1 << 14) * 4;
        }
        return next.call(channel, at);
      },
    });
    // Out of order: others may have claimed what comes behind it.
    expect(many ? channel.recvMany(1) : channel.recv()).toEqual(many ? [2] : 2);
    expect([channel.recv(), channel.recv()]).toEqual([3, 1]);
    expect(channel.tryRecv().status).toBe('empty');
    channel.destroy();
  });
});

test.each([1, 2, 3])(
  'item %d of a run cannot be taken: those before it arrive, it is dropped, the rest arrives',
  (bad) => {
    const { channel } = bare(8, chain);
    const own = heap.stats().liveBlocks;
    channel.sendAll([1, 1, 1, 1]);
    const { items } = channel as unknown as { items: { take(address: number): unknown } };
    const take = items.take;
    let left = bad;
    items.take = (address) => {
      // The call after it finds the same item.
      if (--left <= 0 && left > -2 + (bad === 1 ? 1 : 0)) throw new Error('spoilt');
      return take(address);
    };
    const got: number[] = [];
    const into: number[] = [];
    let errors = 0;
    for (let round = 0; round < 4; round++) {
      try {
        got.push(...channel.recvMany(8, into, { timeout: 0 }));
      } catch {
        errors++;
      }
    }
    expect([got, errors]).toEqual([[1, 1, 1], 1]);
    expect(heap.stats().liveBlocks).toBe(own);
    // All cells are free again.
    items.take = take;
    expect(channel.sendAll([1, 2, 1, 2, 1, 2, 1, 2], { timeout: 0 })).toBe(8);
    channel.destroy();
    expect(heap.stats().liveBlocks).toBe(0);
  },
);

test.each([8, 40, 5000])('who only tries comes soon to what another one left; capacity %i', (capacity) => {
  const channel = Channel.create(heap, string, { capacity });
  const other = Channel.open(heap, channel.handle);
  const { items } = channel as unknown as { items: { take(address: number): unknown } };
  const { take } = items;
  channel.sendAll(['one', 'two', 'three']);
  let taken = 0;
  items.take = (address) => {
    if (taken++ > 0) throw new Error('spoilt');
    return take(address);
  };
  expect(channel.recvMany(8)).toEqual(['one']);
  const got: unknown[] = [];
  let vain = 0;
  while (vain <= 5000 && got.length < 2) {
    const received = other.tryRecv();
    if (received.status === 'received') got.push(received.value);
    else vain++;
  }
  expect(got).toEqual(['two', 'three']);
  expect(vain).toBe(Math.min(8 * capacity, 1024));
  channel.destroy();
  expect(heap.stats().liveBlocks).toBe(0);
});

test.each([
  ['Channel', Channel],
  ['SpscRing', SpscRing],
])('%s: runs of numbers, lists and typed arrays, of odd sizes around the end of the lap', (_, Kind) => {
  for (const [field, List] of [
    [u32, Uint32Array],
    [i32, Int32Array],
    [f64, Float64Array],
  ] as const) {
    const queue = (Kind as typeof Channel).create(heap, field, { capacity: 64 });
    const into: number[] = [];
    let sent = 0;
    let received = 0;
    for (let round = 0; round < 300; round++) {
      const values = Array.from({ length: (round * 7) % 50 }, () => (field === u32 ? 4e9 : -2e9) + sent++);
      const given = round % 2 === 0 ? values : List.from(values);
      expect(queue.sendAll(given, { timeout: 0 })).toBe(values.length);
      if (round % 3 === 0 && queue.length > 0)
        expect(queue.recv()).toBe((field === u32 ? 4e9 : -2e9) + received++);
      while (queue.length > 10) {
        queue.recvMany(1 + (round % 23), into);
        for (const value of into) expect(value).toBe((field === u32 ? 4e9 : -2e9) + received++);
      }
    }
    queue.destroy();
  }
});

test('a ring that is closed while its producer writes: the owned value is dropped', () => {
  for (const many of [false, true]) {
    const ring = SpscRing.create(heap, chain, { capacity: 4 });
    const { items } = ring as unknown as { items: { write(address: number, value: unknown): void } };
    const write = items.write;
    items.write = (address, value) => {
      write(address, value);
      ring.close();
    };
    expect(() => (many ? ring.sendAll([3, 2]) : ring.send(3))).toThrow(ClosedError);
    expect(ring.recv()).toBeUndefined();
    expect(heap.stats().liveBlocks).toBe(1);
    ring.destroy();
    expect(heap.stats().liveBlocks).toBe(0);
  }
});

test('a ring has one producer and one consumer, until they release it', () => {
  const ring = SpscRing.create(heap, u32, { capacity: 4 });
  const { i32 } = heap.memory;
  for (const [role, act] of [
    [12, () => ring.send(1)],
    [16, () => ring.recv()],
  ] as const) {
    const word = (ring.address + role) >>> 2;
    // A thread outside the heap, of which nothing is known.
    i32[word] = (1 << 30) | 77;
    expect(act).toThrow(RoleTakenError);
    i32[word] = 0;
    act();
    expect(i32[word]).toBe(heap.thread.token);
  }
  const { handle } = ring;
  ring.release();
  const again = SpscRing.open(heap, handle, u32);
  again.send(2);
  expect(again.recv()).toBe(2);
  again.destroy();
});

test('in an arena: what it carries lies in the heap', () => {
  const arena = heap.arena(4096);
  const own = heap.stats().liveBlocks;
  for (const Kind of [Channel, SpscRing] as (typeof Channel)[]) {
    const queue = Kind.create(arena, chain, { capacity: 4 });
    queue.sendAll([2, 1]);
    expect(heap.stats().liveBlocks).toBe(own + 3);
    expect(queue.recv()).toBe(2);
    queue.destroy();
    expect(heap.stats().liveBlocks).toBe(own);
  }
  arena.release();
  expect(heap.stats().liveBlocks).toBe(0);
});

test('beyond 2 GiB', () => {
  const large = Heap.create({ byteLength: 3 * GiB });
  const below = large.alloc(2 * GiB + 64 * MiB);
  for (const field of [u32, f64]) {
    for (const Kind of [Channel, SpscRing] as (typeof Channel)[]) {
      const queue = Kind.create(large, field, { capacity: 8 });
      expect(queue.address).toBeGreaterThan(2 * GiB);
      const list = [1, 2, 3, 2 ** 31 + 5, 5];
      for (let round = 0; round < 5; round++) {
        queue.sendAll(list);
        const got = [queue.recv()!];
        while (got.length < 5) got.push(...queue.recvMany(8));
        expect(got).toEqual(list);
      }
      queue.destroy();
    }
  }
  large.free(below);
  expect(large.stats().liveBlocks).toBe(0);
  large.detach();
});

test('timers have their turn while a channel never empties', async () => {
  const queue = Channel.create(heap, u32, { capacity: 4 });
  let stop = false;
  setTimeout(() => {
    stop = true;
  }, 20);
  queue.sendAll([0, 1, 2]);
  let next = 3;
  const began = performance.now();
  for await (const _item of queue) {
    if (stop || performance.now() - began > 60_000) break;
    queue.send(next++);
  }
  expect(stop).toBe(true);
  queue.destroy();
});
