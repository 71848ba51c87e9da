/** Thread slots: taken and given back, each time by a new generation; how many there are, who has them. */

import { describe, expect, test, vi } from 'vitest';
import { generationOf, ownerBits, ownerOf } from '../../src/allocators/ownership.ts';
import { TooManyThreadsError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { SLOT_BYTES, ThreadSlots } from '../../src/heap/slots.ts';
import { readSuperblock } from '../../src/heap/superblock.ts';
import { KiB, MiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { signOfLife } from '../../src/platform/node.ts';
import type { Thread } from '../../src/sync/thread.ts';
import { visit } from './visitor.ts';

const START = 256;

function table(maxThreads: number): { slots: ThreadSlots; memory: Memory } {
  const memory = Memory.create(64 * KiB);
  return { slots: new ThreadSlots(memory, START, maxThreads), memory };
}

describe('the table', () => {
  test('slots are taken from 1 up, the lowest free one first', () => {
    const { slots } = table(5);
    const threads = Array.from({ length: 5 }, () => slots.take());
    expect(threads.map(({ slot }) => slot)).toEqual([1, 2, 3, 4, 5]);
    slots.giveBack(threads[3]!);
    slots.giveBack(threads[1]!);
    expect(slots.take().slot).toBe(2);
    expect(slots.take().slot).toBe(4);
  });

  test('when all are taken, the error says how many there are and what to do', () => {
    const { slots } = table(3);
    for (let i = 0; i < 3; i++) slots.take();
    expect(() => slots.take()).toThrow(TooManyThreadsError);
    expect(() => slots.take()).toThrow(/all 3 thread slots.*detach\(\).*maxThreads/);
  });

  test('255 slots have 255 words to name them, 128 bytes apart', () => {
    const { slots, memory } = table(255);
    const threads = Array.from({ length: 255 }, () => slots.take());
    expect(new Set(threads.map(({ token }) => token)).size).toBe(255);
    expect(new Set(threads.map(({ slot }) => ownerBits(slot, 1))).size).toBe(255);
    for (const [i, { pending }] of threads.entries()) {
      expect(Math.floor((pending * 4 - START) / SLOT_BYTES)).toBe(i);
    }
    expect(memory.u8.subarray(START + 255 * SLOT_BYTES).every((byte) => byte === 0)).toBe(true);
  });

  test('each taking is a generation, and its tenant starts with a clean record', () => {
    const { slots, memory } = table(1);
    let last: Thread | undefined;
    for (let generation = 1; generation <= 300; generation++) {
      const thread = slots.take();
      expect(thread.generation).toBe(generation);
      expect(thread.token).not.toBe(last?.token);
      expect([memory.i32[thread.pending], memory.i32[thread.held]]).toEqual([0, 0]);
      expect(slots.taken()).toEqual([{ slot: 1, threadId: 0, generation, idle: false, dead: false }]);
      memory.i32.fill(0x7777, thread.pending, thread.pending + 2);
      slots.rest(thread);
      slots.giveBack(thread);
      expect(slots.taken()).toEqual([]);
      last = thread;
    }
  });

  test('a token is named by its thread while that has the slot, and as gone afterwards', () => {
    const { slots } = table(2);
    const first = slots.take();
    const other = slots.take();
    expect(other.nameOf(first.token)).toBe('thread 0 (slot 1)');
    slots.giveBack(first);
    expect(other.nameOf(first.token)).toBe('a thread that is gone (slot 1, generation 1)');
    const second = slots.take();
    expect(other.nameOf(first.token)).toBe('a thread that is gone (slot 1, generation 1)');
    expect(other.nameOf(second.token)).toBe('thread 0 (slot 1)');
    expect(other.nameOf((9 << 8) | 77)).toBe('thread slot 77 (generation 9)');
  });

  test('who has died is gone for everybody, before and after the slot has another tenant', () => {
    const { slots } = table(2);
    const victim = slots.take();
    const other = slots.take();
    expect(other.isGone(victim.token)).toBe(false);
    slots.markDead(victim.slot, victim.generation);
    expect(other.isGone(victim.token)).toBe(true);
    expect(slots.taken().map(({ dead }) => dead)).toEqual([true, false]);
    slots.giveBack(victim);
    expect(other.isGone(victim.token)).toBe(true);
    const next = slots.take();
    expect([other.isGone(victim.token), other.isGone(next.token)]).toEqual([true, false]);
    expect(slots.taken().map(({ dead }) => dead)).toEqual([false, false]);
  });

  test('a proof that one thread has is noted for all', () => {
    const { slots, memory } = table(2);
    const victim = slots.take();
    const witness = new ThreadSlots(memory, START, 2);
    const asked: number[] = [];
    const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
    witness.isProvenDead = (threadId) => asked.push(threadId) > 1;
    expect(witness.isGone(victim.token)).toBe(false);
    expect(slots.isGone(victim.token)).toBe(false);
    // Asking takes long: it is not done again at once.
    expect(witness.isGone(victim.token)).toBe(false);
    expect(asked).toEqual([0]);
    now.mockReturnValue(1009);
    expect(witness.isGone(victim.token)).toBe(false);
    expect(asked).toEqual([0]);
    now.mockReturnValue(1011);
    expect(witness.isGone(victim.token)).toBe(true);
    now.mockRestore();
    expect(slots.isGone(victim.token)).toBe(true);
    expect(asked).toEqual([0, 0]);
  });

  test('whoever rests is drained once, and then knows it', () => {
    const { slots } = table(3);
    const [a, b] = [slots.take(), slots.take()];
    expect(slots.drainIdle()).toEqual([]);
    expect(slots.resume(a)).toBe(true);
    slots.rest(a);
    expect(slots.resume(a)).toBe(true);
    slots.rest(a);
    slots.rest(b);
    expect(slots.taken().map(({ idle }) => idle)).toEqual([true, true]);
    expect(slots.drainIdle()).toEqual([ownerBits(1, 1), ownerBits(2, 1)]);
    slots.endDrain();
    expect(slots.drainIdle()).toEqual([]);
    expect(slots.resume(a)).toBe(false);
    slots.resumeDrained(a);
    expect(slots.resume(a)).toBe(true);
    expect(slots.taken().map(({ idle }) => idle)).toEqual([false, true]);
  });

  test('who died while it drained the others has its work done by the next, or by themselves', () => {
    const { slots } = table(3);
    const [a, b] = [slots.take(), slots.take()];
    slots.rest(a);
    slots.rest(b);
    expect(slots.drainIdle()).toEqual([ownerBits(1, 1), ownerBits(2, 1)]);
    expect(slots.resume(b)).toBe(false);
    expect(slots.isDrained(b)).toBe(false);
    slots.resumeDrained(b);
    expect(slots.drainIdle()).toEqual([ownerBits(1, 1)]);
    slots.endDrain();
    expect(slots.resume(a)).toBe(false);
    expect(slots.isDrained(a)).toBe(true);
    expect(slots.resume(b)).toBe(true);
  });

  /** Leaves a slot as a thread does that dies while it takes it. `taker`: see src/heap/slots.ts. */
  function dieTaking({ slots, memory }: ReturnType<typeof table>, taker: number): number {
    const thread = slots.take();
    slots.giveBack(thread);
    memory.i32[START / 4 + (thread.slot - 1) * (SLOT_BYTES / 4)] = -taker;
    return thread.slot;
  }
  const BY_ID = 2 ** 29;

  test('a slot whose taker has died is free again when there is a proof, and not before', () => {
    const scene = table(2);
    const { slots } = scene;
    slots.take();
    const slot = dieTaking(scene, BY_ID + 77 + 1);
    expect(slots.endTakings()).toBe(false);
    expect(slots.endTakings(76)).toBe(false);
    expect(() => slots.take()).toThrow(TooManyThreadsError);
    expect(slots.endTakings(77)).toBe(true);
    expect(slots.endTakings(77)).toBe(false);
    expect(dieTaking(scene, BY_ID + 77 + 1)).toBe(slot);
    slots.isProvenDead = (threadId) => threadId === 77;
    expect(slots.take().slot).toBe(slot);
  });

  test.runIf(process.platform === 'linux')('the runtime may know that a taker has died', () => {
    const scene = table(2);
    const { slots } = scene;
    slots.take();
    // No thread of a process has a number as high as this, and this thread lives.
    const slot = dieTaking(scene, 2 ** 22 + 1);
    expect(slots.endTakings(77)).toBe(true);
    dieTaking(scene, signOfLife() as number);
    expect(slots.endTakings(0)).toBe(false);
    expect(() => slots.take()).toThrow(TooManyThreadsError);
    scene.memory.i32[START / 4 + (slot - 1) * (SLOT_BYTES / 4)] = -(2 ** 22 + 1);
    expect(slots.take().slot).toBe(slot);
  });

  test('a slot that was given back at rest is nobody to drain for its next tenant', () => {
    const { slots } = table(1);
    const thread = slots.take();
    slots.rest(thread);
    slots.giveBack(thread);
    slots.take();
    expect(slots.drainIdle()).toEqual([]);
  });
});

describe('a heap', () => {
  test('recovers a slot whose taker nobody watched', () => {
    const heap = Heap.create({ byteLength: MiB, maxThreads: 2 });
    const word = (readSuperblock(heap.memory).slots + SLOT_BYTES) / 4;
    heap.memory.i32[word] = -(2 ** 22 + 1);
    heap.recover();
    expect(heap.memory.i32[word]).toBe(process.platform === 'linux' ? 0 : -(2 ** 22 + 1));
    heap.memory.i32[word] = 0;
    heap.detach();
  });

  test('1,000 generations of one slot, each leaving a block: all orphans, and none is mistaken for the next', () => {
    const heap = Heap.create({ byteLength: MiB, maxThreads: 2 });
    const { handle } = heap;
    const first = heap.stats();
    heap.detach();
    const left = [];
    for (let round = 2; round <= 1001; round++) {
      const tenant = Heap.attach(handle);
      expect(tenant.threadSlot).toBe(1);
      const [info] = tenant.threads();
      expect(info).toMatchObject({ slot: 1, generation: round, ownedBlocks: 0, ownedBytes: 0 });
      const address = tenant.alloc(40);
      tenant.free(tenant.alloc(100));
      const word = tenant.memory.i32[address / 4 - 1]!;
      expect(ownerOf(word)).toBe(ownerBits(1, round));
      expect(generationOf(word)).toBeLessThan(256);
      expect(tenant.threads()[0]).toMatchObject({ ownedBlocks: 1 });
      left.push(address);
      tenant.detach();
    }
    const last = Heap.attach(handle);
    const orphans = [...last.blocks()].filter(({ state }) => state === 'orphan');
    expect(orphans.map(({ address, owner }) => [address, owner])).toEqual(
      left.sort((a, b) => a - b).map((address) => [address, 0]),
    );
    for (const address of left) last.free(address);
    last.flush();
    last.verify();
    expect(last.stats()).toMatchObject({ used: 0, largestFree: first.largestFree });
    expect(last.alloc(first.largestFree)).not.toBe(NULL);
    last.detach();
  });

  test('a thread that finds no slot free is refused, and let in when one is', async () => {
    const heap = Heap.create({ byteLength: MiB, maxThreads: 1 });
    expect(await visit<string>(heap, 'attach').report).toBe('TooManyThreadsError');
    expect(heap.threads()).toHaveLength(1);
    const buffer = heap.buffer;
    const roomy = Heap.create({ byteLength: MiB, maxThreads: 2 });
    expect(await visit<string>(roomy, 'attach').report).toBe('attached');
    expect(await visit<string>(roomy, 'attach').report).toBe('attached');
    roomy.detach();
    heap.detach();
    expect(Heap.attach(buffer).threads()[0]).toMatchObject({ slot: 1, generation: 2 });
    Heap.attach(buffer).detach();
  });

  test('threads() counts what each owns, and nothing that is shared, freed or cached', () => {
    const heap = Heap.create({ byteLength: MiB, maxThreads: 4 });
    const [a, b, c, d] = [heap.alloc(100), heap.alloc(200), heap.alloc(5000), heap.alloc(50)];
    const bytes = (...addresses: (typeof a)[]) =>
      addresses.reduce((sum, address) => sum + heap.sizeOf(address), 0);
    const owned = () => heap.threads().map(({ ownedBlocks, ownedBytes }) => [ownedBlocks, ownedBytes]);
    expect(owned()).toEqual([[4, bytes(a, b, c, d)]]);
    heap.share(b);
    expect(owned()).toEqual([[3, bytes(a, c, d)]]);
    heap.free(d);
    expect(owned()).toEqual([[2, bytes(a, c)]]);
    expect(heap.threads()[0]).toMatchObject({ slot: 1, threadId: 0, generation: 1, state: 'active' });
    heap.detach();
  });
});
