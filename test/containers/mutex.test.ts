/** Mutex: what it guards is seen under the lock alone, and it says what is done wrong. */

import { inspect } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import { Mutex } from '../../src/containers/mutex.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import {
  AttachError,
  BusyError,
  DeadlockError,
  LockTimeoutError,
  NotOwnerError,
  OutOfMemoryError,
} from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { KiB } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import { dropBlock, registerKind } from '../../src/structs/drop.ts';
import { type BoundField, Field } from '../../src/structs/field.ts';
import { oneOf } from '../../src/structs/one-of.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import type { StructStore } from '../../src/structs/store.ts';
import { struct } from '../../src/structs/struct.ts';
import { Account, abortIn, elsewhere, Other, pause, scene, useHeap } from './guarding.ts';
import { sleepUntilNotified } from './sleeps.ts';

useHeap();

test('with gives a view under the lock, and the result of the function', () => {
  const mutex = Mutex.create(scene.heap, Account, { balance: 5 });
  expect(mutex.locked).toBe(false);
  const seen = mutex.with((account, state) => {
    expect(mutex.locked).toBe(true);
    expect(state.recovered).toBe(false);
    account.balance += 2;
    return account.balance;
  });
  expect(seen).toBe(7);
  expect(mutex.locked).toBe(false);
  mutex.destroy();
});

test('a view that is kept shows nothing after the lock', () => {
  const mutex = Mutex.create(scene.heap, Account, { balance: 5 });
  let kept = mutex.with((account) => account);
  kept.balance = 100;
  expect(kept.balance).toBeUndefined();
  const guard = mutex.lock();
  kept = guard.value;
  expect(kept.balance).toBe(5);
  guard.unlock();
  kept.balance = 100;
  expect(kept.balance).toBeUndefined();
  expect(() => guard.value).toThrow(NotOwnerError);
  expect(() => {
    guard.value = { balance: 1 };
  }).toThrow(NotOwnerError);
  expect(mutex.with(({ balance }) => balance)).toBe(5);
  mutex.destroy();
});

test('a field that is no struct comes as a cell', () => {
  const mutex = Mutex.create(scene.heap, f64, 1.5);
  const kept = mutex.with((cell) => {
    cell.value += 1;
    return cell;
  });
  expect(() => kept.value).toThrow('the lock is not held any more');
  expect(() => {
    kept.value = 1;
  }).toThrow(ReferenceError);
  const guard = mutex.lock();
  expect(guard.value).toBe(2.5);
  guard.value = 9;
  guard.unlock();
  expect(mutex.with(({ value }) => value)).toBe(9);
  mutex.destroy();
  const trio = Mutex.create(scene.heap, array(u32, 3), [1, 2, 3]);
  expect(trio.with(({ value }) => [...value])).toEqual([1, 2, 3]);
  trio.destroy();
});

test('a function that throws releases the lock; one that returns a promise is refused', async () => {
  const mutex = Mutex.create(scene.heap, Account);
  const error = new Error('no');
  const failing = () => {
    throw error;
  };
  expect(() => mutex.with(failing)).toThrow(error);
  expect(mutex.locked).toBe(false);
  expect(() => mutex.with(async () => 1)).toThrow('use withAsync(fn) for async code');
  expect(mutex.locked).toBe(false);
  await expect(mutex.withAsync(async () => failing())).rejects.toBe(error);
  expect(mutex.locked).toBe(false);
  mutex.destroy();
});

test('re-entry is refused at once, and tryLock answers', () => {
  const mutex = Mutex.create(scene.heap, Account);
  mutex.with(() => {
    expect(() => mutex.with(() => 0)).toThrow(DeadlockError);
    expect(() => mutex.lock()).toThrow(DeadlockError);
    expect(() => Mutex.at(scene.heap, mutex.address).lock()).toThrow(DeadlockError);
    expect(mutex.tryLock()).toBeUndefined();
  });
  const guard = mutex.tryLock()!;
  expect(guard.held).toBe(true);
  guard.unlock();
  expect(guard.held).toBe(false);
  expect(() => guard.unlock()).toThrow(NotOwnerError);
  mutex.destroy();
});

test('disposing a guard unlocks it once, disposing the mutex closes this object alone', () => {
  if (Symbol.dispose === undefined) return;
  const mutex = Mutex.create(scene.heap, Account);
  const guard = mutex.lock();
  guard[Symbol.dispose]();
  guard[Symbol.dispose]();
  expect(mutex.locked).toBe(false);
  const second = Mutex.open(scene.heap, mutex.handle);
  second[Symbol.dispose]();
  expect(() => second.lock()).toThrow('this Mutex was released or destroyed');
  mutex.destroy();
});

test('lockAsync queues behind its own thread, in order of no promise', async () => {
  const mutex = Mutex.create(scene.heap, Account);
  await Promise.all(
    Array.from({ length: 8 }, () =>
      mutex.withAsync(async (account) => {
        const { changes } = account;
        await pause(1);
        account.changes = changes + 1;
      }),
    ),
  );
  expect(mutex.with(({ changes }) => changes)).toBe(8);
  mutex.destroy();
});

test('a timeout names the owner', async () => {
  const mutex = Mutex.create(scene.heap, Account);
  const theirs = Mutex.at(elsewhere(), mutex.address, Account).lock();
  expect(() => mutex.lock({ timeout: 20 })).toThrow(LockTimeoutError);
  expect(() => mutex.lock({ timeout: 0 })).toThrow(/held by .*slot 9/);
  await expect(mutex.lockAsync({ timeout: 20 })).rejects.toThrow(/after \d+ ms: it is held by .*slot 9/);
  for (const timeout of [-1, null, '20', true, {}, 20n]) {
    expect(() => mutex.lock({ timeout: timeout as number }), String(timeout)).toThrow(RangeError);
  }
  await expect(mutex.lockAsync({ timeout: Number.NaN })).rejects.toThrow(RangeError);
  theirs.unlock();
  mutex.destroy();
});

test('an aborted lockAsync takes nothing, and passes its wake-up on', async () => {
  sleepUntilNotified();
  const mutex = Mutex.create(scene.heap, Account);
  const guard = mutex.lock();
  const reason = new Error('enough');
  const early = mutex.lockAsync({ signal: AbortSignal.abort(reason) });
  await expect(early).rejects.toBe(reason);
  const aborted = mutex.lockAsync({ signal: abortIn(5, reason) });
  const waiting = mutex.lockAsync();
  await expect(aborted).rejects.toBe(reason);
  guard.unlock();
  (await waiting).unlock();
  expect(mutex.locked).toBe(false);
  mutex.destroy();
});

test('what a dead owner left is said once', async () => {
  const mutex = Mutex.create(scene.heap, Account);
  const flags = (mutex.address + 16) >>> 2;
  scene.heap.memory.u32[flags] = 1;
  expect(mutex.with((_, { recovered }) => recovered)).toBe(true);
  expect(mutex.with((_, { recovered }) => recovered)).toBe(false);
  scene.heap.memory.u32[flags] = 1;
  const guard = mutex.lock();
  expect(guard.recovered).toBe(true);
  guard.unlock();
  scene.heap.memory.u32[flags] = 1;
  expect(await mutex.withAsync((_, { recovered }) => recovered)).toBe(true);
  expect(await mutex.withAsync((_, { recovered }) => recovered)).toBe(false);
  mutex.destroy();
});

test('it is opened by its handle, its address, or a root', () => {
  const { heap } = scene;
  const mutex = heap.roots.openOrCreate('account', Mutex.type(Account), () => Mutex.create(heap, Account));
  mutex.with((account) => account.set({ balance: 3 }));
  const { handle } = mutex;
  expect(JSON.stringify(handle).length).toBeLessThan(100);
  expect(Mutex.open(heap, structuredClone(handle)).with((account) => account.balance)).toBe(3);
  expect(Mutex.at(heap, mutex.address, Account).with(({ balance }) => balance)).toBe(3);
  expect(heap.roots.open('account', Mutex.type(Account))!.address).toBe(mutex.address);
  expect(() => Mutex.open(heap, handle, Other as never)).toThrow(AttachError);
  expect(() => Mutex.open(heap, { ...handle, heap: '0' })).toThrow(AttachError);
  expect(() => Mutex.open(heap, { ...handle, kind: 'Once' } as never)).toThrow(AttachError);
  expect(() => Mutex.at(heap, heap.new(Account).address)).toThrow(AttachError);
  expect(() => Mutex.at(heap, 12 as never)).toThrow(RangeError);
  for (const { address, state } of heap.blocks()) if (state === 'live') heap.free(address);
  heap.roots.delete('account');
  mutex.destroy();
  expect(() => Mutex.open(heap, handle)).toThrow(/destroyed|lies/);
});

test('destroy is refused while it is held; after it every object says so', () => {
  const mutex = Mutex.create(scene.heap, Account);
  const second = Mutex.at(scene.heap, mutex.address, Account);
  const guard = mutex.lock();
  expect(() => second.destroy()).toThrow(BusyError);
  guard.value.balance = 1;
  guard.unlock();
  second.destroy();
  expect(() => second.with(() => 0)).toThrow('released or destroyed');
  expect(() => mutex.with(() => 0)).toThrow('was destroyed');
  expect(() => mutex.tryLock()).toThrow(ReferenceError);
  expect(() => mutex.destroy()).toThrow(ReferenceError);
  expect(() => second.handle).toThrow(ReferenceError);
});

test('release closes this object; a guard that is out stays good', () => {
  const mutex = Mutex.create(scene.heap, Account);
  const { address } = mutex;
  const guard = mutex.lock();
  mutex.release();
  mutex.release();
  expect(mutex.address).toBe(0);
  expect(() => mutex.lock()).toThrow(ReferenceError);
  guard.value.balance = 4;
  guard.unlock();
  const again = Mutex.at(scene.heap, address, Account);
  expect(again.with(({ balance }) => balance)).toBe(4);
  again.destroy();
});

test('a bad field or first value leaves nothing behind', () => {
  expect(() => Mutex.create(scene.heap, 5 as never)).toThrow('Mutex.create takes a field');
  expect(() => Mutex.create(scene.heap, Account, { colour: 1 } as never)).toThrow(TypeError);
  const colour = oneOf('red', 'green');
  expect(() => Mutex.create(scene.heap, colour, 'blue' as never)).toThrow(TypeError);
});

test('a heap without room', () => {
  const small = Heap.create({ byteLength: 64 * KiB, maxThreads: 2 });
  const Large = struct('Large', { bytes: array(u32, 20_000) });
  expect(() => Mutex.create(small, Large)).toThrow(OutOfMemoryError);
  small.detach();
});

describe('a value that owns blocks', () => {
  const LINK = registerKind('MLNK', (dropper, address) => dropper.free(address), 'Link');
  /** Owns one block, made by writing any number but 0. */
  class LinkField extends Field {
    override readonly kind = 'link';
    override readonly size = 4;
    override readonly align = 4;
    override get owning() {
      return [0];
    }
    override describe() {
      return 'link';
    }
    override bind(store: StructStore): BoundField {
      const { u32: words } = store.memory;
      const write = (address: number, given: unknown): void => {
        if (typeof given !== 'number') throw new TypeError('link takes a number');
        const link = given === 0 ? 0 : store.allocZeroed(16);
        words[link >>> 2] = link === 0 ? words[0]! : LINK;
        words[address >>> 2] = link;
      };
      return { read: (address) => words[address >>> 2], write, json: () => null };
    }
  }
  const Owner = struct('MutexOwner', { link: new LinkField() as never, id: u32 });
  const init = (given: object) => given as never;

  test('drops them with the mutex, in the heap and in an arena', () => {
    Mutex.create(scene.heap, Owner, init({ link: 1 })).destroy();
    Mutex.create(scene.heap, new LinkField(), 1 as never).destroy();
    RwLock.create(scene.heap, Owner, init({ link: 1 })).destroy();
    expect(() => Mutex.create(scene.heap, Owner, init({ link: 1, colour: 2 }))).toThrow(TypeError);
    expect(() => RwLock.create(scene.heap, Owner, init({ link: 'x' }))).toThrow(TypeError);
    scene.heap.scope((arena) => Mutex.create(arena, Owner, init({ link: 1 })).destroy());
  });

  test('drops them when something that owns the mutex is dropped', () => {
    const { address } = Mutex.create(scene.heap, Owner, init({ link: 1 }));
    dropBlock(scene.heap, address);
    dropBlock(scene.heap, RwLock.create(scene.heap, Owner, init({ link: 1 })).address);
    expect(() => Mutex.at(scene.heap, address)).toThrow(AttachError);
  });
});

test('an arena can hold one for its thread', () => {
  scene.heap.scope((arena) => {
    const mutex = Mutex.create(arena, Account, { balance: 1 });
    expect(mutex.with(({ balance }) => balance)).toBe(1);
    mutex.destroy();
  });
});

test('it cannot be posted, and is shown and printed as what it holds', () => {
  const mutex = Mutex.create(scene.heap, Account, { balance: 1 });
  expect(() => structuredClone(mutex)).toThrow();
  const guard = mutex.lock();
  expect(() => structuredClone(guard)).toThrow();
  expect(inspect(mutex)).toBe('Mutex { locked: true }');
  guard.unlock();
  expect(inspect(mutex)).toBe('Mutex { locked: false, value: { balance: 1, changes: 0 } }');
  expect(JSON.parse(JSON.stringify(mutex))).toEqual({
    kind: 'Mutex',
    address: mutex.address,
    locked: false,
    value: { balance: 1, changes: 0 },
  });
  mutex.destroy();
  expect(inspect(mutex)).toBe('Mutex (released)');
  expect(inspect({ a: { b: { mutex } } }, { depth: 1 })).toContain('[Object]');
});

test('a memory without room for hidden views still hides them', () => {
  const mutex = Mutex.create(scene.heap, Account, { balance: 1 });
  const inner = mutex as unknown as { contents: { nowhere: number; binding: object } };
  // As in a heap of 4 GiB.
  inner.contents.nowhere = -1;
  vi.spyOn(inner.contents.binding as { nowhere: unknown }, 'nowhere', 'get').mockReturnValue(undefined);
  const kept = mutex.with((account) => account);
  expect(kept.balance).toBeUndefined();
  expect(mutex.with(({ balance }) => balance)).toBe(1);
  expect(kept.balance).toBeUndefined();
  vi.restoreAllMocks();
  mutex.destroy();
});
