/** Locks that are poisoned, lost or being destroyed: every use of what they guard throws, and pictures of it say so. */

import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Mutex } from '../../src/containers/mutex.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { string } from '../../src/containers/string.ts';
import { HeapCorruptionError } from '../../src/errors.ts';
import type { Address } from '../../src/memory/address.ts';
import { loseLock } from '../../src/sync/lock.ts';
import { Account, elsewhere, scene, useHeap } from './guarding.ts';

useHeap();

/** Bytes from the start of either to its lock. */
const LOCK = 8;

/** Makes a lock unusable that another thread has. */
const ENDS = {
  poisoned: (address: Address) => {
    const lock = elsewhere().lock(address);
    lock.acquire();
    lock.poison();
  },
  lost: (address: Address) => {
    const other = elsewhere();
    other.lock(address).acquire();
    loseLock(other.memory.i32, address >>> 2, other.thread.token);
  },
};

/** Pictures say so instead of throwing. Frees it, raw: it can be destroyed no more. */
function expectPictured(it: Mutex | RwLock): void {
  const { kind, address } = it.handle;
  expect(JSON.parse(JSON.stringify(it))).toEqual({ kind, address, poisoned: true });
  expect(inspect(it)).toBe(`${kind} { poisoned: true }`);
  scene.heap.free(address);
}

describe.each(Object.entries(ENDS))('%s', (_, end) => {
  test('a Mutex', async () => {
    const mutex = Mutex.create(scene.heap, Account, { balance: 1 });
    end((mutex.address + LOCK) as Address);
    expect(() => mutex.lock()).toThrow(HeapCorruptionError);
    expect(() => mutex.tryLock()).toThrow(HeapCorruptionError);
    expect(() => mutex.locked).toThrow(HeapCorruptionError);
    await expect(mutex.lockAsync()).rejects.toThrow(HeapCorruptionError);
    expectPictured(mutex);
  });

  test('an RwLock', async () => {
    const lock = RwLock.create(scene.heap, Account, { balance: 1 });
    end((lock.address + LOCK) as Address);
    expect(() => lock.read(() => {})).toThrow(HeapCorruptionError);
    expect(() => lock.tryRead()).toThrow(HeapCorruptionError);
    expect(() => lock.tryWrite()).toThrow(HeapCorruptionError);
    await expect(lock.lockReadAsync()).rejects.toThrow(HeapCorruptionError);
    expectPictured(lock);
  });
});

test.each([
  ['Mutex', Mutex, (it: Mutex) => it.tryLock()],
  ['RwLock', RwLock, (it: RwLock) => it.tryWrite()],
  ['RwLock, to read,', RwLock, (it: RwLock) => it.tryRead()],
] as const)("a %s that is being destroyed is nobody else's to take", (_name, Kind, take) => {
  const { heap } = scene;
  const it = (Kind as typeof Mutex).create(heap, string, 'a text');
  const other = (Kind as typeof Mutex).open(elsewhere(), it.handle, string);
  const outcomes: unknown[] = [];
  const { takeOut } = heap;
  // What its value owns is dropped now.
  heap.takeOut = (...given) => {
    try {
      outcomes.push(take(other as never));
    } catch (error) {
      outcomes.push(String(error));
    }
    return takeOut.apply(heap, given);
  };
  it.destroy();
  expect(outcomes).toEqual([expect.stringContaining('was destroyed')]);
});
