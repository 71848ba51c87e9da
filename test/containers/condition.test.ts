/** Condition: the mutex is given back while one waits, and taken again however the wait ends. */

import { expect, test, vi } from 'vitest';
import { Condition } from '../../src/containers/condition.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { AttachError, LockTimeoutError, NotOwnerError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { KiB } from '../../src/memory/address.ts';
import { hasWaitAsync } from '../../src/memory/atomics.ts';
import { Account, abortIn, pause, scene, useHeap } from './guarding.ts';
import { sleepUntilNotified } from './sleeps.ts';

useHeap();

function both() {
  const mutex = Mutex.create(scene.heap, Account);
  const changed = Condition.create(scene.heap);
  return {
    mutex,
    changed,
    destroy: () => {
      mutex.destroy();
      changed.destroy();
    },
  };
}

test('waitAsync gives the mutex back, and has it again when notified', async () => {
  const { mutex, changed, destroy } = both();
  const guard = await mutex.lockAsync();
  const waiting = changed.waitForAsync(guard, ({ balance }) => balance === 7);
  expect(guard.held).toBe(false);
  expect(() => guard.value).toThrow(NotOwnerError);
  mutex.with((account) => {
    account.balance = 1;
  });
  changed.notifyAll();
  await pause(5);
  mutex.with((account) => {
    account.balance = 7;
    changed.notifyOne();
  });
  await waiting;
  expect(guard.held).toBe(true);
  expect(guard.value.balance).toBe(7);
  guard.unlock();
  destroy();
});

test('notifyOne wakes one that sleeps, notifyAll all', async () => {
  sleepUntilNotified();
  const { mutex, changed, destroy } = both();
  let asleep = 0;
  let woken = 0;
  const sleeper = async () => {
    const guard = await mutex.lockAsync();
    const waiting = changed.waitAsync(guard);
    asleep++;
    await waiting;
    woken++;
    guard.unlock();
  };
  const all = Promise.all([sleeper(), sleeper(), sleeper()]);
  await vi.waitUntil(() => asleep === 3, { timeout: 60_000 });
  changed.notifyOne();
  await vi.waitUntil(() => woken > 0, { timeout: 60_000 });
  await pause(10);
  if (hasWaitAsync) expect(woken).toBe(1);
  changed.notifyAll();
  await all;
  expect(woken).toBe(3);
  destroy();
});

test('a predicate that holds is not waited for', () => {
  const { mutex, changed, destroy } = both();
  const guard = mutex.lock();
  changed.waitFor(guard, () => true, { timeout: 0 });
  expect(guard.held).toBe(true);
  guard.unlock();
  destroy();
});

test('a timeout, and an abort, leave the guard held', async () => {
  const { mutex, changed, destroy } = both();
  const guard = mutex.lock();
  expect(() => changed.wait(guard, { timeout: 20 })).toThrow(LockTimeoutError);
  expect(() => changed.waitFor(guard, () => false, { timeout: 20 })).toThrow('a notify of the condition');
  await expect(changed.waitAsync(guard, { timeout: 20 })).rejects.toThrow(LockTimeoutError);
  expect(guard.held).toBe(true);
  const reason = new Error('enough');
  await expect(changed.waitAsync(guard, { signal: abortIn(5, reason) })).rejects.toBe(reason);
  await expect(changed.waitForAsync(guard, () => false, { signal: AbortSignal.abort(reason) })).rejects.toBe(
    reason,
  );
  expect(guard.held).toBe(true);
  expect(() => changed.wait(guard, { timeout: -5 })).toThrow(RangeError);
  guard.unlock();
  expect(() => changed.wait(guard)).toThrow(NotOwnerError);
  destroy();
});

test('a guard of another mutex, or none at all, is refused', () => {
  const { mutex, changed, destroy } = both();
  const guard = mutex.lock();
  expect(() => changed.wait(guard, { timeout: 0 })).toThrow(LockTimeoutError);
  const other = Mutex.create(scene.heap, Account);
  const wrong = other.lock();
  expect(() => changed.wait(wrong)).toThrow('it cannot be waited for with that at');
  expect(wrong.held).toBe(true);
  expect(() => changed.wait({} as never)).toThrow('wait takes a guard of a Mutex, got an object');
  const far = Heap.create({ byteLength: 64 * KiB, maxThreads: 2 });
  const foreign = Mutex.create(far, Account).lock();
  expect(() => changed.wait(foreign)).toThrow('in the same heap');
  foreign.unlock();
  far.detach();
  wrong.unlock();
  guard.unlock();
  other.destroy();
  destroy();
});

test('it is opened by handle, address or root', () => {
  const { heap } = scene;
  const { mutex, changed, destroy } = both();
  expect(Condition.open(heap, changed.handle).address).toBe(changed.address);
  heap.roots.set('changed', changed);
  expect(heap.roots.open('changed', Condition)!.address).toBe(changed.address);
  heap.roots.delete('changed');
  expect(() => Condition.at(heap, mutex.address)).toThrow(AttachError);
  expect(JSON.parse(JSON.stringify(changed))).toMatchObject({ kind: 'Condition', mutex: null });
  destroy();
  expect(() => changed.notifyOne()).toThrow(ReferenceError);
});

test('who waits while the mutex is destroyed does not have it again', async () => {
  const { heap } = scene;
  const { mutex, changed } = both();
  const { address } = mutex;
  const bytes = heap.sizeOf(address);
  const guard = await mutex.lockAsync();
  const waiting = changed.waitAsync(guard, { timeout: 20 });
  mutex.destroy();
  expect(heap.allocZeroed(bytes)).toBe(address);
  await expect(waiting).rejects.toThrow('was destroyed');
  expect(guard.held).toBe(false);
  expect(() => guard.value).toThrow(NotOwnerError);
  expect(heap.memory.bytes(address, bytes).every((byte) => byte === 0)).toBe(true);
  heap.free(address);
  changed.destroy();
});

test('who waits for one that is destroyed is told so within a slice, with the mutex again', async () => {
  const { mutex, changed } = both();
  const other = Condition.open(scene.heap, changed.handle);
  const guard = await mutex.lockAsync();
  const waiting = changed.waitAsync(guard, { timeout: 5000 });
  other.destroy();
  const began = performance.now();
  await expect(waiting).rejects.toThrow('was destroyed');
  expect(performance.now() - began).toBeLessThan(2500);
  expect(guard.held).toBe(true);
  guard.unlock();
  mutex.destroy();
});
