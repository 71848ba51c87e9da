/** Threads: tokens that name who holds a lock, with a heap's slot and without one. */

import { describe, expect, test } from 'vitest';
import { mayBlock, threadId } from '#platform';
import { Memory } from '../../src/memory/memory.ts';
import { describeToken, generationOfToken, slotOfToken, Thread } from '../../src/sync/thread.ts';

const words = new Int32Array(8);

describe('in a slot', () => {
  test.each([
    [1, 0],
    [1, 1],
    [255, 1],
    [7, 1234],
    [255, 2 ** 22 - 1],
  ])('slot %i, generation %i: the token names both', (slot, generation) => {
    const thread = Thread.inSlot(slot, generation, words, 2);
    expect(thread).toMatchObject({ slot, generation, words, pending: 2, held: 3, mayBlock: mayBlock() });
    expect(slotOfToken(thread.token)).toBe(slot);
    expect(generationOfToken(thread.token)).toBe(generation);
    expect(thread.token).toBeGreaterThan(0);
    expect(thread.token).toBeLessThan(2 ** 30);
  });

  test('generations count on from 0 after 2^22', () => {
    const thread = Thread.inSlot(3, 2 ** 22 + 5, words, 0);
    expect(thread.generation).toBe(5);
    expect(generationOfToken(thread.token)).toBe(5);
    expect(slotOfToken(thread.token)).toBe(3);
  });

  test('two tenants of one slot have different tokens', () => {
    expect(Thread.inSlot(3, 1, words, 0).token).not.toBe(Thread.inSlot(3, 2, words, 0).token);
  });

  test('tokens are named by slot, or as the heap names them', () => {
    const { token } = Thread.inSlot(9, 4, words, 0);
    expect(Thread.inSlot(9, 4, words, 0).nameOf(token)).toBe('thread slot 9 (generation 4)');
    expect(
      Thread.inSlot(9, 4, words, 0, { nameOf: () => 'worker 3', isGone: () => false }).nameOf(token),
    ).toBe('worker 3');
  });
});

describe('outside a heap', () => {
  test('a thread is one identity for each memory', () => {
    const memory = Memory.create(64);
    expect(Thread.of(memory)).toBe(Thread.of(memory));
    expect(Thread.of(Memory.attach(memory.buffer))).not.toBe(Thread.of(memory));
  });

  test('its token names the runtime thread and no slot', () => {
    const thread = Thread.of(Memory.create(64));
    expect(thread).toMatchObject({ slot: 0, generation: 0, mayBlock: mayBlock() });
    expect(thread.token).toBeGreaterThanOrEqual(2 ** 30);
    expect(thread.token).toBeLessThan(2 ** 31);
    expect(slotOfToken(thread.token)).toBe(0);
    expect(thread.nameOf(thread.token)).toBe(`thread ${threadId()}`);
    expect(describeToken((1 << 30) | 18)).toBe('thread 17');
  });

  test('it holds nothing at first', () => {
    const thread = Thread.of(Memory.create(64));
    expect([thread.words[thread.pending], thread.words[thread.held]]).toEqual([0, 0]);
  });
});
