/** Attaching: one handle for each heap in a thread, known by the heap's id and told from its copies. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { AttachError, DetachedError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { HeapOptions } from '../../src/heap/options.ts';
import { type Address, KiB, MiB } from '../../src/memory/address.ts';
import type { TwoMessagesReport } from '../../workers/test-threads/two-messages.ts';

const made: Heap[] = [];

function create(options: HeapOptions = {}): Heap {
  const heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 4, ...options });
  made.push(heap);
  return heap;
}

afterEach(() => {
  for (const heap of made.splice(0)) heap.detach();
});

function copyOf(heap: Heap): SharedArrayBuffer {
  const copy = new SharedArrayBuffer(heap.buffer.byteLength);
  new Uint8Array(copy).set(new Uint8Array(heap.buffer));
  return copy;
}

describe('the handle', () => {
  test('is a plain object that survives cloning, and leads to the same heap', () => {
    const heap = create();
    const { handle } = heap;
    expect(handle).toEqual({ kind: 'sabheap', id: heap.id, buffer: heap.buffer });
    expect(Object.getPrototypeOf(handle)).toBe(Object.prototype);
    const cloned = structuredClone(handle);
    expect(cloned.buffer).not.toBe(heap.buffer);
    expect(cloned).toMatchObject({ kind: 'sabheap', id: heap.id });
    expect(Heap.attach(cloned)).toBe(heap);
    expect(JSON.parse(JSON.stringify(handle))).toMatchObject({ kind: 'sabheap', id: heap.id });
  });
});

describe('a second attach', () => {
  test('gives the same heap, by handle or buffer, and takes no second slot', () => {
    const heap = create();
    for (const way of [heap.handle, heap.buffer, structuredClone(heap.buffer), { ...heap.handle }]) {
      expect(Heap.attach(way)).toBe(heap);
    }
    expect(heap.threads()).toHaveLength(1);
  });

  test('in a worker gives the same heap too, whichever message its buffer came by', async () => {
    const heap = create();
    const url = new URL('../../dist/workers/test-threads/two-messages.js', import.meta.url);
    const worker = new Worker(url);
    const reported = once(worker, 'message') as Promise<[TwoMessagesReport]>;
    // Waited for from the start: a worker's last messages may come right before its exit, in the same turn.
    const ended = once(worker, 'exit');
    worker.postMessage(heap.handle);
    worker.postMessage(heap.handle);
    const [report] = await reported;
    await ended;
    expect(report).toEqual({
      sameBuffer: false,
      sameHeap: true,
      sameBytes: true,
      byBuffer: true,
      slots: [2, 2],
      threads: 2,
    } satisfies TwoMessagesReport);
    expect(heap.threads()).toHaveLength(1);
  });

  test('from another copy of the library gives the heap that this thread has', async () => {
    const built = new URL('../../dist/src/index.js', import.meta.url).href;
    const { Heap: OtherHeap } = (await import(/* @vite-ignore */ built)) as { Heap: typeof Heap };
    expect(OtherHeap).not.toBe(Heap);
    const heap = create();
    const other = OtherHeap.attach(heap.handle);
    expect(other).toBe(heap);
    expect(() => OtherHeap.attach(copyOf(heap))).toThrow('one is a copy of the other');
    const theirs = OtherHeap.create({ byteLength: 256 * KiB, maxThreads: 4 });
    made.push(theirs);
    expect(Heap.attach(theirs.handle)).toBe(theirs);
    expect(Heap.attach(theirs.handle).alloc(8)).toBeGreaterThan(0);
  });

  test('after a detach is a new handle in a new generation', () => {
    const heap = create();
    const { handle } = heap;
    const address = heap.alloc(8);
    heap.detach();
    const again = Heap.attach(handle);
    made.push(again);
    expect(again === heap).toBe(false);
    expect(again.threads()[0]).toMatchObject({ slot: 1, generation: 2 });
    again.free(address);
  });
});

describe('a byte for byte copy', () => {
  test('is told from the heap that this thread is attached to', () => {
    const heap = create();
    const copy = copyOf(heap);
    expect(() => Heap.attach(copy)).toThrow(AttachError);
    expect(() => Heap.attach(copy)).toThrow(
      `another heap with the id ${heap.id}: one is a copy of the other`,
    );
    expect(() => Heap.attach({ ...heap.handle, buffer: copy })).toThrow(AttachError);
  });

  test('is a heap of its own for a thread that left the first', () => {
    const heap = create();
    const address = heap.alloc(100);
    heap.roots.set('block', address);
    const copy = copyOf(heap);
    const { buffer } = heap;
    heap.detach();
    const second = Heap.attach(copy);
    made.push(second);
    // The copy was made while slot 1 was taken: it stays taken there.
    expect(second.threadSlot).toBe(2);
    expect(() => Heap.attach(buffer)).toThrow('one is a copy of the other');
    second.free(second.roots.get('block'));
    second.verify();
    second.detach();
    const back = Heap.attach(buffer);
    made.push(back);
    expect(back.sizeOf(back.roots.get('block'))).toBeGreaterThanOrEqual(100);
  });
});

describe('the default heap', () => {
  test('is what was set last, until it is detached', () => {
    expect(() => Heap.default()).toThrow(ReferenceError);
    expect(() => Heap.default()).toThrow('Heap.setDefault(heap)');
    const [a, b] = [create(), create()];
    Heap.setDefault(a);
    expect(Heap.default()).toBe(a);
    Heap.setDefault(b);
    expect(Heap.default()).toBe(b);
    a.detach();
    expect(Heap.default()).toBe(b);
    b.detach();
    expect(() => Heap.default()).toThrow(ReferenceError);
  });

  test('is a heap, and one that this thread is attached to', () => {
    for (const value of [undefined, null, {}, Heap, create().handle]) {
      expect(() => Heap.setDefault(value as never)).toThrow(new TypeError('setDefault wants a Heap'));
    }
    const heap = create();
    heap.detach();
    expect(() => Heap.setDefault(heap)).toThrow(DetachedError);
    expect(() => Heap.default()).toThrow(ReferenceError);
  });
});

test('many heaps side by side keep their blocks apart', () => {
  const heaps = Array.from({ length: 20 }, () => create({ byteLength: MiB }));
  const blocks = heaps.map((heap, i) => {
    const address = heap.alloc(64 + i);
    heap.memory.u8.fill(i, address, address + 64 + i);
    return address;
  });
  for (const [i, heap] of heaps.entries()) {
    const block = blocks[i] as Address;
    expect(heap.memory.bytes(block, 64 + i).every((byte) => byte === i)).toBe(true);
    heap.free(block);
    heap.verify();
    expect(heap.stats().liveBlocks).toBe(0);
  }
});
