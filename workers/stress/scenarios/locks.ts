/** Locks: what they guard is half changed for a moment, and nobody sees it so unless the owner died. */

import {
  f64,
  type Handle,
  Mutex,
  type MutexHandle,
  RwLock,
  type RwLockHandle,
  Semaphore,
  struct,
} from '../../../src/index.ts';
import { expect, type Hand, type Part, type Scenario } from '../scenario.ts';

const TOTAL = 1_000_000;
const PERMITS = 3;

/** Two accounts, with `TOTAL` in both of them together. */
const Ledger = struct('Ledger', { first: f64, second: f64, recovered: f64 });

interface LedgerView {
  first: number;
  second: number;
  recovered: number;
}

/** What was half changed is put right by who is told so; nobody else finds it half changed. */
function settle(ledger: LedgerView, recovered: boolean): void {
  if (recovered) {
    ledger.recovered++;
    ledger.second = TOTAL - ledger.first;
  }
  expectSettled(ledger);
}

function expectSettled({ first, second }: Readonly<LedgerView>): void {
  expect(first + second === TOTAL, () => `a half change came without a word: ${first} + ${second}`);
}

function finishLedger(ledger: LedgerView, recovered: boolean, deaths: number): void {
  settle(ledger, recovered);
  const times = ledger.recovered;
  expect(times <= deaths, () => `${times} times a lock's owner had died, but only ${deaths} did`);
}

export const mutex: Scenario<{ handle: MutexHandle<typeof Ledger> }> = {
  create: (heap) => ({ handle: Mutex.create(heap, Ledger, { first: TOTAL }).handle }),

  join({ heap, random, halfway }: Hand, { handle }): Part {
    const shared = Mutex.open(heap, handle, Ledger);
    const change = (ledger: LedgerView, recovered: boolean): void => {
      settle(ledger, recovered);
      const amount = random(1000) - 500;
      ledger.first += amount;
      halfway();
      ledger.second -= amount;
    };
    return {
      step() {
        if (random(2) === 0) shared.with((ledger, { recovered }) => change(ledger, recovered));
        else {
          const guard = shared.tryLock();
          if (guard === undefined) return;
          change(guard.value, guard.recovered);
          guard.unlock();
        }
      },
      hold() {
        const { value, recovered } = shared.lock();
        settle(value, recovered);
        value.first += 1;
      },
      leave: () => shared.release(),
    };
  },

  finish(heap, { handle }, deaths) {
    const shared = Mutex.open(heap, handle, Ledger);
    shared.with((ledger, { recovered }) => finishLedger(ledger, recovered, deaths));
    shared.destroy();
  },
};

export const rwLock: Scenario<{ handle: RwLockHandle<typeof Ledger> }> = {
  create: (heap) => ({ handle: RwLock.create(heap, Ledger, { first: TOTAL }).handle }),

  join({ heap, random, halfway }: Hand, { handle }): Part {
    const shared = RwLock.open(heap, handle, Ledger);
    return {
      step() {
        if (random(4) > 0) {
          shared.read((ledger, { recovered }) => {
            if (!recovered) expectSettled(ledger);
            halfway();
          });
          return;
        }
        shared.write((ledger, { recovered }) => {
          settle(ledger, recovered);
          const amount = random(1000) - 500;
          ledger.first += amount;
          halfway();
          ledger.second -= amount;
        });
      },
      hold() {
        if (random(2) === 0) {
          shared.lockRead();
          return;
        }
        const { value, recovered } = shared.lockWrite();
        settle(value, recovered);
        value.first += 1;
      },
      leave: () => shared.release(),
    };
  },

  finish(heap, { handle }, deaths) {
    const shared = RwLock.open(heap, handle, Ledger);
    shared.write((ledger, { recovered }) => finishLedger(ledger, recovered, deaths));
    shared.destroy();
  },
};

export const semaphore: Scenario<{ handle: Handle }> = {
  create: (heap) => ({ handle: Semaphore.create(heap, PERMITS).handle }),

  join({ heap, random, halfway }: Hand, { handle }): Part {
    const shared = Semaphore.open(heap, handle);
    return {
      step() {
        if (random(2) === 0) shared.with(halfway);
        else if (shared.tryAcquire(2)) shared.release(2);
      },
      hold: () => void shared.tryAcquire(1 + random(PERMITS)),
      leave: () => shared.close(),
    };
  },

  finish(heap, { handle }) {
    const shared = Semaphore.open(heap, handle);
    // Whoever died has given its permits back.
    shared.acquire(PERMITS, { timeout: 1000 });
    expect(!shared.tryAcquire(), () => `there are more than ${PERMITS} permits`);
    shared.release(PERMITS);
    shared.destroy();
  },
};
