/** A thread that may not block, as a page's main thread: sync forms name the async ones, which work there. */

import { expect, test, vi } from 'vitest';
import { Barrier } from '../../src/containers/barrier.ts';
import { Condition } from '../../src/containers/condition.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { Once } from '../../src/containers/once.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { Semaphore } from '../../src/containers/semaphore.ts';
import { BlockingNotAllowedError } from '../../src/errors.ts';
import * as atomics from '../../src/memory/atomics.ts';
import { Account, elsewhere, pause, scene, useHeap } from './guarding.ts';

vi.mock('#platform', async (original) => ({ ...(await original<object>()), mayBlock: () => false }));
vi.mock(import('../../src/memory/atomics.ts'), { spy: true });

useHeap();

function expectRefusal(act: () => unknown, asyncForm: string): void {
  vi.mocked(atomics.wait).mockImplementation(() => expect.fail('the thread slept'));
  expect(act).toThrow(BlockingNotAllowedError);
  expect(act).toThrow(`use ${asyncForm} here`);
  vi.mocked(atomics.wait).mockRestore();
}

test('mutex', async () => {
  const mutex = Mutex.create(scene.heap, Account);
  const theirs = Mutex.at(elsewhere(), mutex.address, Account).lock();
  expectRefusal(() => mutex.lock(), 'lockAsync()');
  const had = mutex.lockAsync();
  await pause(2);
  theirs.unlock();
  (await had).unlock();
  mutex.with(() => 0);
  mutex.destroy();
});

test('rw-lock', async () => {
  const lock = RwLock.create(scene.heap, Account);
  const theirs = RwLock.at(elsewhere(), lock.address, Account);
  const writing = theirs.lockWrite();
  expectRefusal(() => lock.lockRead(), 'lockReadAsync()');
  const had = lock.lockReadAsync();
  writing.unlock();
  (await had).unlock();
  const reading = theirs.lockRead();
  expectRefusal(() => lock.write(() => 0), 'lockWriteAsync()');
  const next = lock.lockWriteAsync();
  reading.unlock();
  (await next).unlock();
  lock.destroy();
});

test('semaphore, once, condition and barrier', async () => {
  const { heap } = scene;
  const semaphore = Semaphore.create(heap, 1);
  semaphore.acquire();
  expectRefusal(() => semaphore.acquire(), 'acquireAsync()');
  const permit = semaphore.acquireAsync();
  semaphore.release();
  await permit;
  semaphore.release();

  const once = Once.create(heap);
  let finish = (): void => {};
  const work = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const running = Once.at(elsewhere(), once.address).runAsync(() => work);
  expectRefusal(() => once.run(() => 0), 'runAsync()');
  finish();
  await running;

  const mutex = Mutex.create(heap, Account);
  const condition = Condition.create(heap);
  const guard = mutex.lock();
  expectRefusal(() => condition.wait(guard), 'waitAsync()');
  const notified = condition.waitAsync(guard);
  condition.notifyAll();
  await notified;
  guard.unlock();

  const barrier = Barrier.create(heap, 2);
  expectRefusal(() => {
    barrier.reset();
    barrier.wait();
  }, 'waitAsync()');
  barrier.reset();
  await Promise.all([barrier.waitAsync(), barrier.waitAsync()]);
  for (const one of [semaphore, once, mutex, condition, barrier]) one.destroy();
});

test('without Atomics.waitAsync the async forms poll', async () => {
  vi.spyOn(Atomics as { waitAsync?: unknown }, 'waitAsync', 'get').mockReturnValue(undefined);
  const semaphore = Semaphore.create(scene.heap, 1);
  semaphore.acquire();
  const permit = semaphore.acquireAsync();
  await pause(5);
  semaphore.release();
  await permit;
  semaphore.release();
  semaphore.destroy();
});
