/** RwLock: many readers or one writer, and who may follow whom. */

import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { AttachError, BusyError, DeadlockError, LockTimeoutError, NotOwnerError } from '../../src/errors.ts';
import { f64 } from '../../src/structs/scalars.ts';
import { Account, abortIn, elsewhere, Other, pause, scene, useHeap } from './guarding.ts';
import { sleepUntilNotified } from './sleeps.ts';

useHeap();

/** The same lock in this thread and as another thread has it. */
function both() {
  const mine = RwLock.create(scene.heap, Account, { balance: 1 });
  return { mine, theirs: RwLock.at(elsewhere(), mine.address, Account) };
}

test('readers of several threads are in together, a writer is alone', () => {
  const { mine, theirs } = both();
  const reading = theirs.lockRead();
  expect(mine.read(({ balance }) => balance)).toBe(1);
  expect(mine.tryWrite()).toBeUndefined();
  reading.unlock();
  const writing = theirs.lockWrite();
  expect(mine.tryRead()).toBeUndefined();
  expect(mine.tryWrite()).toBeUndefined();
  writing.value.balance = 2;
  writing.unlock();
  expect(mine.read(({ balance }) => balance)).toBe(2);
  mine.write((account) => {
    account.balance = 3;
  });
  expect(theirs.read(({ balance }) => balance)).toBe(3);
  mine.destroy();
});

test('a thread that reads may read again, also while a writer waits for it', async () => {
  const { mine, theirs } = both();
  const inner = mine.read((outer) => {
    const seen = mine.read(({ balance }) => balance);
    expect(outer.balance).toBe(1);
    return seen;
  });
  expect(inner).toBe(1);
  const reading = mine.lockRead();
  const writing = theirs.lockWriteAsync();
  await pause(5);
  const again = mine.tryRead()!;
  const other = RwLock.at(scene.heap, mine.address, Account);
  const third = other.lockRead();
  expect(mine.read(({ balance }) => balance)).toBe(1);
  reading.unlock();
  again.unlock();
  const done = await Promise.race([writing.then(() => true), pause(5).then(() => false)]);
  expect(done, 'one of the readings is still going on').toBe(false);
  mine.release();
  third.unlock();
  (await writing).unlock();
  other.destroy();
});

test('a writer that waits keeps new readers out; the last reader wakes it', async () => {
  const asleep = sleepUntilNotified();
  const { mine, theirs } = both();
  const third = RwLock.at(elsewhere(), mine.address, Account);
  const reading = mine.lockRead();
  const writing = theirs.lockWriteAsync();
  expect(third.tryRead()).toBeUndefined();
  await asleep();
  reading.unlock();
  (await writing).unlock();
  const late = third.tryRead()!;
  late.unlock();
  mine.destroy();
});

test('upgrading is refused at once, and so is every way to lock oneself out', () => {
  const { mine } = both();
  mine.read(() => {
    expect(() => mine.write(() => 0)).toThrow(DeadlockError);
    expect(() => mine.lockWrite()).toThrow('for reading');
    expect(mine.tryWrite()).toBeUndefined();
  });
  mine.write(() => {
    expect(() => mine.read(() => 0)).toThrow(DeadlockError);
    expect(() => mine.write(() => 0)).toThrow(DeadlockError);
    expect(mine.tryRead()).toBeUndefined();
  });
  mine.destroy();
});

test('timeouts name the writer, or the slot that reads', async () => {
  const { mine, theirs } = both();
  const reading = theirs.lockRead();
  expect(() => mine.lockWrite({ timeout: 20 })).toThrow('it is held by a reader in thread slot 9');
  await expect(mine.lockWriteAsync({ timeout: 20 })).rejects.toThrow(LockTimeoutError);
  expect(mine.tryRead(), 'the writer that gave up lets readers in').toBeDefined();
  (mine as unknown as { inner: { leave(): void } }).inner.leave();
  reading.unlock();
  const writing = theirs.lockWrite();
  expect(() => mine.lockRead({ timeout: 20 })).toThrow(/slot 9/);
  await expect(mine.lockReadAsync({ timeout: 20 })).rejects.toThrow(/slot 9/);
  writing.unlock();
  expect(() => mine.lockRead({ timeout: -1 })).toThrow(RangeError);
  mine.destroy();
});

test('an abort leaves the lock as it was', async () => {
  const { mine, theirs } = both();
  const reason = new Error('enough');
  const reading = theirs.lockRead();
  await expect(mine.lockWriteAsync({ signal: abortIn(5, reason) })).rejects.toBe(reason);
  mine.lockRead().unlock();
  reading.unlock();
  const writing = theirs.lockWrite();
  await expect(mine.lockReadAsync({ signal: abortIn(5, reason) })).rejects.toBe(reason);
  await expect(mine.readAsync(() => 0, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  writing.unlock();
  mine.write(() => 0);
  mine.destroy();
});

test('async sections of one thread take turns', async () => {
  const { mine } = both();
  const log: string[] = [];
  const write = async (name: string) => {
    await mine.writeAsync(async (account) => {
      log.push(`${name} in`);
      await pause(2);
      account.changes++;
      log.push(`${name} out`);
    });
  };
  const read = () => mine.readAsync(async (account) => pause(1).then(() => account.changes));
  const [, , seen] = await Promise.all([write('a'), write('b'), read()]);
  expect([0, 1, 2]).toContain(seen);
  expect(log[1]).toBe(log[0]!.replace('in', 'out'));
  expect(mine.read(({ changes }) => changes)).toBe(2);
  mine.destroy();
});

test('what is kept shows nothing afterwards', () => {
  const lock = RwLock.create(scene.heap, f64, 2);
  const kept = lock.read((cell) => cell);
  expect(() => kept.value).toThrow('the lock is not held any more');
  const guard = lock.lockWrite();
  guard.value = 5;
  expect(guard.value).toBe(5);
  guard.unlock();
  expect(() => guard.unlock()).toThrow(NotOwnerError);
  expect(() => {
    guard.value = 6;
  }).toThrow(NotOwnerError);
  const reading = lock.lockRead();
  expect(reading.value).toBe(5);
  reading[Symbol.dispose]?.();
  reading[Symbol.dispose]?.();
  if (reading.held) reading.unlock();
  expect(() => reading.value).toThrow(NotOwnerError);
  lock.destroy();
});

test('a function that throws leaves; one that returns a promise is refused', () => {
  const { mine } = both();
  const failing = () => {
    throw new Error('no');
  };
  expect(() => mine.read(failing)).toThrow('no');
  expect(() => mine.write(failing)).toThrow('no');
  expect(() => mine.read(async () => 0)).toThrow('use readAsync(fn)');
  expect(() => mine.write(async () => 0)).toThrow('use writeAsync(fn)');
  expect(mine.tryWrite()).toBeDefined();
  (mine as unknown as { inner: { endWrite(): void } }).inner.endWrite();
  mine.destroy();
});

test('all are told that a writer died, until a writer has been', async () => {
  const { mine } = both();
  scene.heap.memory.u32[(mine.address + 16) >>> 2] = 1;
  expect(mine.read((_, { recovered }) => recovered)).toBe(true);
  expect(await mine.readAsync((_, { recovered }) => recovered)).toBe(true);
  const guard = mine.lockRead();
  expect(guard.recovered).toBe(true);
  guard.unlock();
  expect(await mine.writeAsync((_, { recovered }) => recovered)).toBe(true);
  expect(mine.write((_, { recovered }) => recovered)).toBe(false);
  expect(mine.read((_, { recovered }) => recovered)).toBe(false);
  mine.destroy();
});

test('it is opened by handle, address or root, and refused as anything else', () => {
  const { heap } = scene;
  const { mine } = both();
  expect(RwLock.open(heap, mine.handle).read(({ balance }) => balance)).toBe(1);
  expect(RwLock.type(Account).at(heap, mine.address).address).toBe(mine.address);
  expect(() => RwLock.open(heap, mine.handle, Other as never)).toThrow(AttachError);
  expect(() => RwLock.create(heap, Account, { colour: 1 } as never)).toThrow(TypeError);
  expect(() => RwLock.create(heap, undefined as never)).toThrow('RwLock.create takes a field');
  expect(inspect(mine)).toBe('RwLock { writing: false, value: { balance: 1, changes: 0 } }');
  const guard = mine.lockWrite();
  expect(inspect(mine)).toBe('RwLock { writing: true }');
  guard.unlock();
  mine.destroy();
});

test('destroy is refused while a thread reads or writes', () => {
  const { mine, theirs } = both();
  const reading = theirs.lockRead();
  expect(() => mine.destroy()).toThrow('a reader in thread slot 9');
  reading.unlock();
  const writing = theirs.lockWrite();
  expect(() => mine.destroy()).toThrow(BusyError);
  writing.unlock();
  mine.destroy();
  expect(() => theirs.read(() => 0)).toThrow('was destroyed');
  expect(() => theirs.write(() => 0)).toThrow('was destroyed');
});
