/** Channel and SpscRing in one thread: against an array, what they refuse, what they drop, how they wait. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { SpscRing } from '../../src/channels/spsc-ring.ts';
import { AttachError, ClosedError, OutOfMemoryError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, MiB } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import type { Field } from '../../src/structs/field.ts';
import { bool, f64, i64, u8, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { Chain, UNWRITABLE } from './toy-chain.ts';

const Job = struct('ChannelJob', { id: u32, x: f64, tags: array(u8, 3) });
const Owner = struct('ChannelOwner', { id: u32, chain: new Chain() });
const chain = new Chain();

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 4 * MiB });
});
afterEach(() => heap.detach());
const live = (): number => heap.stats().liveBlocks;

const KINDS = [
  ['Channel', Channel],
  ['SpscRing', SpscRing],
] as const;

/** As each class's own `create`, for tests that go over both. */
function create<F extends Field>(Kind: (typeof KINDS)[number][1], field: F, capacity: number) {
  return (Kind as typeof Channel).create(heap, field, { capacity });
}

describe.each(KINDS)('%s', (name, Kind) => {
  test('acts as an array does, whatever is done to it', () => {
    const step = fc.oneof(
      fc.record({ act: fc.constant('send' as const), count: fc.constant(1) }),
      fc.record({ act: fc.constant('recv' as const), count: fc.constant(1) }),
      fc.record({ act: fc.constant('sendAll' as const), count: fc.nat(12) }),
      fc.record({ act: fc.constant('recvMany' as const), count: fc.integer({ min: 1, max: 12 }) }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.array(step, { maxLength: 80 }), (wanted, steps) => {
        const queue = create(Kind, u32, wanted);
        const model: number[] = [];
        const into: number[] = [];
        let next = 0;
        for (const { act, count } of steps) {
          if (act === 'send') {
            const full = model.length === queue.capacity;
            expect(queue.trySend(next)).toBe(full ? 'full' : 'sent');
            if (!full) model.push(next++);
          } else if (act === 'recv') {
            const value = model.shift();
            expect(queue.tryRecv()).toEqual(
              value === undefined ? { status: 'empty' } : { status: 'received', value },
            );
          } else if (act === 'sendAll') {
            const values = Array.from({ length: count }, () => next++);
            const fit = Math.min(count, queue.capacity - model.length);
            expect(queue.sendAll(values, { timeout: 0 })).toBe(fit);
            model.push(...values.slice(0, fit));
          } else {
            queue.recvMany(count, into, { timeout: 0 });
            // A channel's run ends with its lap.
            expect(into.length).toBeGreaterThanOrEqual(Math.min(1, model.length));
            expect(into.length).toBeLessThanOrEqual(Math.min(count, model.length));
            expect(into).toEqual(model.splice(0, into.length));
          }
          expect(queue.length).toBe(model.length);
        }
        queue.close();
        expect([...queue]).toEqual(model);
        queue.destroy();
      }),
      { numRuns: 150 },
    );
    expect(live()).toBe(0);
  });

  test('positions and turns come round', () => {
    for (const capacity of [1, 2, 3]) {
      const queue = create(Kind, u32, capacity);
      for (let i = 0; i < 80_000; i++) {
        if (queue.trySend(i) !== 'sent' || queue.recv() !== i) throw new Error(`lost ${i}`);
      }
      expect(queue.length).toBe(0);
      queue.destroy();
    }
  });

  test('closing: what is inside comes out, then the end; nothing more goes in', () => {
    const queue = create(Kind, f64, 4);
    expect(queue.send(1.5)).toBe(true);
    expect(queue.closed).toBe(false);
    expect(queue.close()).toBe(true);
    expect(queue.close()).toBe(false);
    expect(queue.closed).toBe(true);
    expect(queue.drained).toBe(false);
    expect(queue.trySend(2)).toBe('closed');
    expect(() => queue.send(2)).toThrow(ClosedError);
    expect(() => queue.sendAll([2])).toThrow(ClosedError);
    expect(queue.recv()).toBe(1.5);
    expect(queue.drained).toBe(true);
    expect(queue.recv()).toBeUndefined();
    expect(queue.recvMany(3)).toEqual([]);
    expect(queue.tryRecv()).toEqual({ status: 'closed' });
    queue.destroy();
  });

  test('timeouts', () => {
    const queue = create(Kind, u32, 1);
    const began = performance.now();
    expect(queue.recv({ timeout: 20 })).toBeUndefined();
    expect(queue.send(1)).toBe(true);
    expect(queue.send(2, { timeout: 20 })).toBe(false);
    expect(queue.sendAll([2, 3], { timeout: 20 })).toBe(0);
    expect(performance.now() - began).toBeGreaterThan(55);
    expect(queue.recv({ timeout: 0 })).toBe(1);
    expect(() => queue.recv({ timeout: -1 })).toThrow(RangeError);
    expect(() => queue.recv({ timeout: Number.NaN })).toThrow(RangeError);
    queue.destroy();
  });

  test('structs cross by value, bigints and booleans as they are', () => {
    const queue = create(Kind, Job, 3);
    queue.send({ id: 7, x: 1.5, tags: [1, 2, 3] } as never);
    queue.send({ id: 8 });
    const got = queue.recv()!;
    expect(got).toEqual({ id: 7, x: 1.5, tags: new Uint8Array([1, 2, 3]) });
    queue.destroy();
    const longs = create(Kind, i64, 2);
    longs.send(-5n);
    expect(longs.recv()).toBe(-5n);
    expect(() => longs.send(5 as never)).toThrow(/a queue of i64 carries a bigint, got 5/);
    longs.destroy();
    const flags = create(Kind, bool, 2);
    flags.sendAll([true, false]);
    expect(flags.recvMany(5)).toEqual([true, false]);
    flags.destroy();
  });

  test('a value of another type is refused, and the queue is as before', () => {
    const queue = create(Kind, u32, 3);
    expect(() => queue.send('5' as never)).toThrow(TypeError);
    expect(() => queue.sendAll([1, 2, 'x' as never])).toThrow(TypeError);
    expect(queue.recvMany(5)).toEqual([1, 2]);
    queue.destroy();
  });

  test('owned values move: received ones are taken, the others are dropped', () => {
    const queue = create(Kind, chain, 8);
    const own = live();
    queue.send(3);
    queue.sendAll([2, 1, 0, 5]);
    expect(live()).toBe(own + 11);
    expect([...heap.blocks()].filter(({ state }) => state === 'flight').length).toBe(4);
    expect(queue.recv()).toBe(3);
    expect(queue.recvMany(2)).toEqual([2, 1]);
    expect(live()).toBe(own + 5);
    queue.destroy();
    expect(live()).toBe(0);
    const owners = create(Kind, Owner, 4);
    owners.send({ id: 1, chain: 4 });
    owners.send({ id: 2, chain: 1 });
    expect(owners.recv()).toEqual({ id: 1, chain: 4 });
    owners.destroy();
    expect(live()).toBe(0);
  });

  test('what cannot be written is dropped, those before it are sent, the next ones come through', () => {
    const queue = create(Kind, chain, 4);
    expect(() => queue.send(UNWRITABLE)).toThrow(TypeError);
    expect(queue.length).toBe(0);
    expect(() => queue.sendAll([1, UNWRITABLE, 2])).toThrow(TypeError);
    expect(() => queue.sendAll([UNWRITABLE, 2])).toThrow(TypeError);
    expect(queue.recv()).toBe(1);
    expect(queue.tryRecv()).toEqual({ status: 'empty' });
    expect(queue.length).toBe(0);
    expect(queue.sendAll([1, 2, 3, 4], { timeout: 0 })).toBe(4);
    queue.close();
    expect([...queue]).toEqual([1, 2, 3, 4]);
    queue.destroy();
    expect(live()).toBe(0);
  });

  test('handles', () => {
    const queue = create(Kind, Job, 5);
    const { handle } = queue;
    expect(JSON.stringify(handle).length).toBeLessThan(100);
    queue.send({ id: 4 });
    queue.release();
    const again = (Kind as typeof Channel).open(heap, handle as never, Job);
    expect(again.capacity).toBe(queue.capacity);
    expect(again.recv()!.id).toBe(4);
    const loose = (Kind as typeof Channel).open(heap, handle as never);
    expect(loose.field).toBe(Job);
    expect(() => (Kind as typeof Channel).open(heap, handle as never, u32)).toThrow(AttachError);
    expect(() => (Kind as typeof Channel).at(heap, heap.alloc(64) as Address, u32)).toThrow(AttachError);
    expect(() => Channel.open(heap, { ...handle, kind: 'SharedVec' } as never)).toThrow(AttachError);
    expect(() => structuredClone(again)).toThrow();
    heap.roots.set('jobs', again);
    expect(heap.roots.open('jobs', (Kind as typeof Channel).type(Job))!.capacity).toBe(queue.capacity);
    heap.roots.delete('jobs');
    expect(again.destroy()).toBe(true);
    expect(loose.destroy()).toBe(false);
    expect(() => (Kind as typeof Channel).open(heap, handle as never)).toThrow(AttachError);
    expect(() => again.recv()).toThrow(ReferenceError);
    expect(() => queue.send({ id: 1 })).toThrow(ReferenceError);
  });

  test('options out of range', () => {
    for (const capacity of [0, -1, 1.5, Number.NaN, 2 ** 40]) {
      expect(() => create(Kind, u32, capacity)).toThrow(RangeError);
    }
    expect(() => create(Kind, 5 as never, 4)).toThrow(TypeError);
    expect(() => create(Kind, f64, 1_000_000)).toThrow(OutOfMemoryError);
    expect(live()).toBe(0);
  });

  test('for people and tools', () => {
    const queue = create(Kind, u32, 4);
    queue.send(1);
    expect(JSON.parse(JSON.stringify(queue))).toMatchObject({ kind: name, field: 'u32', length: 1 });
    queue.destroy();
  });

  test('the async forms wait without blocking', async () => {
    const queue = create(Kind, u32, 1);
    const first = queue.recvAsync();
    expect(await queue.sendAsync(1)).toBe(true);
    expect(await first).toBe(1);
    queue.send(2);
    const sending = queue.sendAllAsync([3, 4, 5]);
    const got: number[] = [];
    // Some time after all have been sent: the loop waits for more by then.
    void sending.then(() => setTimeout(() => queue.close(), 100));
    for await (const value of queue) got.push(value);
    expect(got).toEqual([2, 3, 4, 5]);
    expect(await sending).toBe(3);
    expect(await queue.recvAsync()).toBeUndefined();
    await expect(queue.sendAsync(1)).rejects.toThrow(ClosedError);
    queue.destroy();
  });

  test('an aborted wait takes nothing and leaves no listener', async () => {
    const queue = create(Kind, u32, 1);
    const listeners = new Set<unknown>();
    const controller = new AbortController();
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners.add(args[1]);
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof add>) => {
      listeners.delete(args[1]);
      remove(...args);
    };
    expect(await queue.recvAsync({ signal, timeout: 120 })).toBeUndefined();
    expect(listeners.size).toBe(0);
    const waiting = queue.recvAsync({ signal });
    setTimeout(() => controller.abort(new Error('enough')), 10);
    await expect(waiting).rejects.toThrow('enough');
    expect(() => queue.recv({ signal })).toThrow('enough');
    queue.send(1);
    await expect(queue.recvAsync({ signal })).rejects.toThrow('enough');
    await expect(queue.sendAsync(2, { signal })).rejects.toThrow('enough');
    expect(queue.recv()).toBe(1);
    queue.destroy();
  });

  test('an abort at the moment of a send: the item comes to somebody else', async () => {
    const queue = create(Kind, u32, 4);
    for (let round = 0; round < 20; round++) {
      const controller = new AbortController();
      const aborted = queue.recvAsync({ signal: controller.signal }).catch(() => -1);
      const other = queue.recvAsync({ timeout: 60_000 });
      await new Promise((resolve) => setTimeout(resolve, 1));
      queue.send(round);
      controller.abort();
      const got = await aborted;
      if (got !== -1) queue.send(got!);
      expect(await other).toBe(round);
    }
    queue.destroy();
  });

  test('destroying it ends the waits of this thread', async () => {
    const queue = create(Kind, u32, 1);
    const other = (Kind as typeof Channel).open(heap, queue.handle as never, u32);
    const receiving = other.recvAsync();
    queue.destroy();
    expect(await receiving).toBeUndefined();
    expect(live()).toBe(0);
  });
});

test('two objects of one thread take turns at one end of a ring', () => {
  const ring = create(SpscRing, u32, 4);
  const other = SpscRing.open(heap, ring.handle as never, u32);
  for (let round = 0; round < 20; round += 4) {
    expect(other.tryRecv()).toEqual({ status: 'empty' });
    for (const [i, end] of [ring, other, other, ring].entries()) end.send(round + i);
    expect(ring.recv()).toBe(round);
    expect(other.recvMany(4)).toEqual([round + 1, round + 2, round + 3]);
    expect(ring.recvMany(4, [], { timeout: 0 })).toEqual([]);
    expect([ring.length, other.length]).toEqual([0, 0]);
  }
  ring.destroy();
});

test('who disposes of a ring gives up its end, as with release', () => {
  if (Symbol.dispose === undefined) return;
  const ring = create(SpscRing, u32, 4);
  const { handle } = ring;
  ring.send(1);
  ring.recv();
  ring[Symbol.dispose]();
  expect(() => ring.trySend(2)).toThrow('was released');
  expect(() => ring.tryRecv()).toThrow('was released');
  SpscRing.open(heap, handle as never).destroy();
  expect(live()).toBe(0);
});

test('a channel of any capacity holds so many; a ring rounds up', () => {
  expect(create(Channel, u32, 5).capacity).toBe(5);
  expect(SpscRing.create(heap, u32, { capacity: 5 }).capacity).toBe(8);
});

test('a wait keeps the event loop alive until a worker that does not has sent', async () => {
  const index = JSON.stringify(new URL('../../dist/src/index.js', import.meta.url).href);
  const worker = `
    const { workerData } = require('node:worker_threads');
    import(${index}).then(({ Heap, Channel }) => {
      const channel = Channel.open(Heap.attach(workerData.heap), workerData.channel);
      setTimeout(() => channel.send(42), 200);
    });`;
  const program = `
    import { Worker } from 'node:worker_threads';
    const { Heap, Channel, u32 } = await import(${index});
    const heap = Heap.create({ byteLength: 1 << 20 });
    const channel = Channel.create(heap, u32, { capacity: 1 });
    new Worker(${JSON.stringify(worker)}, {
      eval: true, execArgv: [], workerData: { heap: heap.handle, channel: channel.handle },
    }).unref();
    console.log('got', await channel.recvAsync());
    process.exit(0);`;
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program]);
  expect(stdout).toBe('got 42\n');
});
