/** A thread dies with a lock, a reading, permits or a promise in its hands: the others get on, and are told. */

import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { Barrier } from '../../src/containers/barrier.ts';
import { Condition } from '../../src/containers/condition.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { Once } from '../../src/containers/once.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { Semaphore } from '../../src/containers/semaphore.ts';
import { BrokenBarrierError, BusyError, DeadlockError, LockTimeoutError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { KiB } from '../../src/memory/address.ts';
import * as atomics from '../../src/memory/atomics.ts';
import { f64 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { SLICE_MS } from '../../src/sync/lock.ts';
import { anotherThread } from '../misuse/another-thread.ts';
import { die, Fuse, Killed, killAtEveryStep, mockAtomics, mortal } from './mortal.ts';
import { sleepUntilNotified } from './sleeps.ts';

vi.mock(import('../../src/memory/atomics.ts'), { spy: true });
beforeAll(mockAtomics);

const Account = struct('Account', { balance: f64 });

let heap: Heap;
let victim: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 128 * KiB, maxThreads: 8, lockTimeout: 60_000 });
  heap.delete(heap.new(Account));
  victim = anotherThread(heap);
});
afterEach(() => {
  heap.verify();
  heap.detach();
});

const kill = (who: Heap = victim) => die(heap, who.thread);

/** The victim dies as who waits for it falls asleep. Returns the check that a slice or two were all its sleep. */
function killWhoIsWaitedFor(): () => void {
  const sleeps = vi.mocked(atomics.waitAsync).mockClear();
  sleeps.mockImplementationOnce((...sleep) => {
    kill();
    return atomics.waitAsync(...sleep);
  });
  return () => {
    // The first one went on by a call of its own.
    expect(sleeps.mock.calls.length - 1).toBeOneOf([1, 2]);
    for (const [, , , ms] of sleeps.mock.calls) expect(ms).toBeLessThanOrEqual(SLICE_MS);
  };
}

describe('mutex', () => {
  function both() {
    const ours = Mutex.create(heap, Account, { balance: 1 });
    return { ours, theirs: Mutex.open(victim, ours.handle, Account) };
  }

  test('the next locker is told, once', () => {
    const { ours, theirs } = both();
    theirs.lock();
    expect(ours.tryLock()).toBeUndefined();
    kill();
    expect(ours.locked).toBe(false);
    expect(ours.with((_, { recovered }) => recovered)).toBe(true);
    expect(ours.with((_, { recovered }) => recovered)).toBe(false);
    ours.destroy();
  });

  test.each(['lock', 'tryLock', 'lockAsync', 'withAsync'] as const)('%s tells it too', async (form) => {
    const { ours, theirs } = both();
    theirs.lock();
    kill();
    if (form === 'withAsync') {
      expect(await ours.withAsync((_, { recovered }) => recovered)).toBe(true);
    } else {
      const guard = (await ours[form]())!;
      expect(guard.recovered).toBe(true);
      guard.unlock();
    }
    const guard = ours.lock();
    expect(guard.recovered).toBe(false);
    guard.unlock();
    ours.destroy();
  });

  test('who waits for it has it when its owner dies', async () => {
    const { ours, theirs } = both();
    theirs.lock();
    const expectSoon = killWhoIsWaitedFor();
    const guard = await ours.lockAsync();
    expectSoon();
    expect(guard.recovered).toBe(true);
    guard.unlock();
    ours.destroy();
  });

  test('who dies with what it was told tells the next one again', () => {
    const { ours, theirs } = both();
    theirs.lock();
    kill();
    const second = anotherThread(heap);
    expect(Mutex.open(second, ours.handle, Account).lock().recovered).toBe(true);
    kill(second);
    const guard = ours.lock();
    expect(guard.recovered).toBe(true);
    guard.unlock();
    ours.destroy();
  });

  test('a condition that takes the mutex again tells its waiter', () => {
    const { ours } = both();
    const condition = Condition.create(heap);
    const guard = ours.lock();
    const taker = Mutex.open(victim, ours.handle, Account);
    expect(() =>
      // The predicate is asked under the mutex: after the first wait it is another thread's, which dies.
      condition.waitFor(
        guard,
        () => {
          vi.spyOn(guard, '$resume').mockImplementationOnce(() => {
            taker.lock();
            kill();
            guard.$resume();
          });
          return false;
        },
        { timeout: 1 },
      ),
    ).toThrow(LockTimeoutError);
    expect([guard.held, guard.recovered]).toEqual([true, true]);
    guard.unlock();
    ours.destroy();
    condition.destroy();
  });

  test('a slot that another thread has by now makes no difference; a dead holder keeps nobody from destroying', () => {
    const { ours, theirs } = both();
    theirs.lock();
    heap.reap(victim.thread);
    const next = anotherThread(heap);
    expect(next.threadSlot).toBe(victim.threadSlot);
    const mutex = Mutex.open(next, ours.handle, Account);
    expect(mutex.lock({ timeout: 0 }).recovered).toBe(true);
    expect(() => ours.destroy()).toThrow(BusyError);
    expect(() => mutex.lock()).toThrow(DeadlockError);
    kill(next);
    ours.destroy();
  });

  test('at every step: the value is had, and told of unless nothing can have happened', () => {
    let told = 0;
    killAtEveryStep((fuse) => {
      const dying = anotherThread(heap);
      const ours = Mutex.create(heap, Account, { balance: 1 });
      const theirs = Mutex.at(mortal(dying, fuse), ours.address, Account);
      const act = () =>
        theirs.with((account) => {
          account.balance = 2;
          account.balance = 1;
        });
      const check = () => {
        kill(dying);
        const recovered = ours.with(({ balance }, state) => {
          if (!state.recovered) expect(balance).toBe(1);
          return state.recovered;
        });
        told += recovered ? 1 : 0;
        ours.destroy();
        heap.reap(dying.thread, { reclaim: true });
      };
      return { act, check };
    });
    expect(told).toBeGreaterThan(1);
  });
});

describe('rw-lock', () => {
  function both() {
    const ours = RwLock.create(heap, Account, { balance: 1 });
    return { ours, theirs: RwLock.open(victim, ours.handle, Account) };
  }

  test('readers that are gone do not keep a writer out', () => {
    const { ours, theirs } = both();
    theirs.lockRead();
    theirs.lockRead();
    expect(ours.tryWrite()).toBeUndefined();
    kill();
    expect(ours.write((_, { recovered }) => recovered)).toBe(false);
    ours.tryWrite()!.unlock();
    ours.destroy();
  });

  test('a writer that waits for a reader gets in when that one dies', async () => {
    const { ours, theirs } = both();
    theirs.lockRead();
    const expectSoon = killWhoIsWaitedFor();
    (await ours.lockWriteAsync()).unlock();
    expectSoon();
    ours.destroy();
  });

  test('the next tenant of a slot starts its word anew, and reads for itself', () => {
    const { ours, theirs } = both();
    theirs.lockRead();
    heap.reap(victim.thread);
    const next = anotherThread(heap);
    expect(next.threadSlot).toBe(victim.threadSlot);
    const third = RwLock.open(next, ours.handle, Account);
    ours.tryWrite()!.unlock();
    const guard = third.lockRead();
    expect(ours.tryWrite()).toBeUndefined();
    guard.unlock();
    ours.tryWrite()!.unlock();
    ours.destroy();
  });

  test('a new tenant wakes the writer that sleeps for the old one', async () => {
    const { ours, theirs } = both();
    theirs.lockRead();
    const asleep = sleepUntilNotified();
    const writing = ours.lockWriteAsync();
    await asleep();
    heap.reap(victim.thread);
    RwLock.open(anotherThread(heap), ours.handle, Account);
    (await writing).unlock();
    ours.destroy();
  });

  test('a writer that died in the middle: readers are told until a writer was', () => {
    const { ours, theirs } = both();
    theirs.lockWrite();
    expect(ours.tryRead()).toBeUndefined();
    kill();
    const guard = ours.tryRead()!;
    expect(guard.recovered).toBe(true);
    guard.unlock();
    expect(ours.read((_, { recovered }) => recovered)).toBe(true);
    expect(ours.write((_, { recovered }) => recovered)).toBe(true);
    expect(ours.write((_, { recovered }) => recovered)).toBe(false);
    expect(ours.read((_, { recovered }) => recovered)).toBe(false);
    ours.destroy();
  });

  test('a writer that died while it waited for readers has changed nothing', () => {
    const ours = RwLock.create(heap, Account, { balance: 1 });
    const fuse = new Fuse(1);
    const theirs = RwLock.at(mortal(victim, fuse), ours.address, Account);
    const reading = ours.lockRead();
    vi.mocked(atomics.wait).mockImplementationOnce(() => {
      fuse.isLit = true;
      throw new Killed();
    });
    expect(() => theirs.write(() => {})).toThrow(Killed);
    kill();
    reading.unlock();
    expect(ours.write((_, { recovered }) => recovered)).toBe(false);
    ours.destroy();
  });

  test('more readings of a thread than its word holds are counted', () => {
    const { ours, theirs } = both();
    const guards = Array.from({ length: 1500 }, () => theirs.lockRead());
    const last = guards.pop()!;
    for (const guard of guards) guard.unlock();
    expect(ours.tryWrite()).toBeUndefined();
    const more = Array.from({ length: 600 }, () => theirs.tryRead()!);
    last.unlock();
    for (const guard of more) {
      expect(ours.tryWrite()).toBeUndefined();
      guard.unlock();
    }
    ours.tryWrite()!.unlock();
    ours.destroy();
  });

  test.each(['read', 'write'] as const)('%s at every step', (form) => {
    killAtEveryStep((fuse) => {
      const dying = anotherThread(heap);
      const ours = RwLock.create(heap, Account, { balance: 1 });
      const store = mortal(dying, fuse);
      const act = () => {
        const theirs = RwLock.at(store, ours.address, Account);
        if (form === 'read') theirs.read(({ balance }) => balance);
        else theirs.write((account) => Object.assign(account, { balance: 1 }));
      };
      const check = () => {
        kill(dying);
        expect(ours.read(({ balance }) => balance)).toBe(1);
        const recovered = ours.write((_, state) => state.recovered);
        if (form === 'read') expect(recovered).toBe(false);
        ours.destroy();
        heap.reap(dying.thread, { reclaim: true });
      };
      return { act, check };
    });
  });
});

describe('semaphore', () => {
  test('permits of the dead are given back before anybody hears no', () => {
    const ours = Semaphore.create(heap, 3);
    Semaphore.open(victim, ours.handle).acquire(2);
    expect(ours.tryAcquire(2)).toBe(false);
    kill();
    expect(ours.tryAcquire(3)).toBe(true);
    expect([ours.available, ours.held]).toEqual([0, 3]);
    ours.release(3);
    ours.destroy();
  });

  test('who waits for permits gets those of one who dies', async () => {
    const ours = Semaphore.create(heap, 1);
    Semaphore.open(victim, ours.handle).acquire();
    const expectSoon = killWhoIsWaitedFor();
    await ours.acquireAsync();
    expectSoon();
    ours.release();
    ours.destroy();
  });

  test('the next tenant of the slot has none of them, and a dead holder is no reason not to destroy', () => {
    const ours = Semaphore.create(heap, 3);
    Semaphore.open(victim, ours.handle).acquire(2);
    expect(() => ours.destroy()).toThrow(BusyError);
    heap.reap(victim.thread);
    const next = anotherThread(heap);
    expect(next.threadSlot).toBe(victim.threadSlot);
    const third = Semaphore.open(next, ours.handle);
    expect([third.held, third.available]).toEqual([0, 1]);
    third.acquire();
    expect([third.held, third.available]).toEqual([1, 2]);
    kill(next);
    ours.destroy();
  });

  test.each(['acquire', 'release', 'add'] as const)('%s at every step: permits add up', (what) => {
    const steps = killAtEveryStep((fuse) => {
      const dying = anotherThread(heap);
      const ours = Semaphore.create(heap, 5);
      ours.acquire(1);
      const theirs = Semaphore.at(mortal(dying, fuse), ours.address);
      theirs.acquire(2);
      const act = () => (what === 'add' ? theirs.add(1) : theirs[what](2));
      const check = () => {
        kill(dying);
        expect(ours.tryAcquire(4)).toBe(true);
        expect(ours.available).toBe(ours.total - 5);
        if (what !== 'add') expect(ours.total).toBe(5);
        ours.release(5);
        ours.destroy();
        heap.reap(dying.thread, { reclaim: true });
      };
      return { act, check };
    });
    expect(steps).toBeGreaterThan(5);
  });
});

describe('once', () => {
  test('a runner that died is followed by the next', async () => {
    const ours = Once.create(heap);
    const theirs = Once.open(victim, ours.handle);
    void theirs.runAsync(() => new Promise(() => {}));
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(() => ours.destroy()).toThrow(BusyError);
    const expectSoon = killWhoIsWaitedFor();
    let runs = 0;
    expect(await ours.runAsync(() => runs++)).toBe(true);
    expectSoon();
    expect(ours.run(() => runs++)).toBe(false);
    expect(runs).toBe(1);
    ours.destroy();
  });
});

describe('barrier', () => {
  test('a party that dies before it comes breaks it for those who wait', async () => {
    const ours = Barrier.create(heap, 2);
    Barrier.open(victim, ours.handle);
    const expectSoon = killWhoIsWaitedFor();
    await expect(ours.waitAsync()).rejects.toThrow(BrokenBarrierError);
    expectSoon();
    expect(() => ours.wait()).toThrow('a party gave up or died');
    ours.reset();
    expect(() => ours.wait({ timeout: 100 }), 'the dead one is forgotten').toThrow(LockTimeoutError);
    ours.destroy();
  });

  test('so does one that dies while it waits, also when its slot has another tenant', async () => {
    const ours = Barrier.create(heap, 3);
    const theirs = Barrier.open(victim, ours.handle);
    void theirs.waitAsync().catch(() => {});
    expect(ours.waiting).toBe(1);
    heap.reap(victim.thread);
    const next = anotherThread(heap);
    expect(() => Barrier.open(next, ours.handle).wait()).toThrow(BrokenBarrierError);
    ours.destroy();
  });

  test('a thread that closed its object, or left, is no party', () => {
    const ours = Barrier.create(heap, 2);
    const first = Barrier.open(victim, ours.handle);
    const second = Barrier.open(victim, ours.handle);
    first.close();
    second.close();
    kill();
    const third = anotherThread(heap);
    Barrier.open(third, ours.handle);
    third.detach();
    expect(() => ours.wait({ timeout: 120 })).toThrow(LockTimeoutError);
    ours.destroy();
  });

  test('waiting parties that are dead do not keep it from being destroyed', () => {
    const ours = Barrier.create(heap, 2);
    void Barrier.open(victim, ours.handle)
      .waitAsync()
      .catch(() => {});
    expect(() => ours.destroy()).toThrow(BusyError);
    kill();
    ours.destroy();
  });
});
