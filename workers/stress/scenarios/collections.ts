/** Collections: a map that all use at once; a vec and a text, each behind a Mutex. */

import { Mutex, type MutexHandle, SharedMap, string, struct, u32, vec } from '../../../src/index.ts';
import { expect, type Hand, type Part, type Scenario, stampOf, textOf } from '../scenario.ts';

const Entry = struct('StressEntry', { key: u32, version: u32, stamp: u32, label: string });

const KEYS = 2000;
const MOST_ELEMENTS = 3000;

interface EntryFields {
  key: number;
  version: number;
  stamp: number;
  label: string;
}

function makeEntry(key: number, version: number): EntryFields {
  return { key, version, stamp: stampOf(key ^ version), label: textOf(key + version) };
}

function checkEntry(key: number, { key: told, version, stamp, label }: Readonly<EntryFields>): void {
  const meant = makeEntry(key, version);
  expect(told === key && stamp === meant.stamp && label === meant.label, () => {
    return `the entry of ${key} is ${told}, ${version}, ${stamp}, '${label}'`;
  });
}

export const map: Scenario<{ entries: ReturnType<typeof makeMap>['handle'] }> = {
  create: (heap) => ({ entries: makeMap(heap).handle }),

  join({ heap, random, halfway }: Hand, { entries: handle }): Part {
    const entries = SharedMap.open(heap, handle, u32, Entry);
    const operations: ((key: number) => void)[] = [
      (key) => entries.set(key, makeEntry(key, random(1000))),
      (key) => entries.set(key, makeEntry(key, random(1000))),
      (key) => void entries.delete(key),
      (key) => {
        const found = entries.get(key);
        if (found !== undefined) checkEntry(key, found);
      },
      (key) => {
        entries.with(key, (entry) => {
          checkEntry(key, entry);
          halfway();
        });
      },
      (key) => {
        const made = entries.getOrInsert(key, () => {
          halfway();
          return makeEntry(key, random(1000));
        });
        checkEntry(key, made);
      },
      (key) => {
        entries.update(key, (entry) => {
          checkEntry(key, entry);
          halfway();
          return makeEntry(key, entry.version + 1);
        });
      },
      (key) => {
        const taken = entries.take(key);
        if (taken !== undefined) checkEntry(key, taken);
      },
    ];
    return {
      step() {
        // Seldom all at once: so that tables grow and shrink again.
        if (random(20_000) === 0) entries.clear();
        else operations[random(operations.length)]!(random(KEYS));
      },
      leave: () => entries.release(),
    };
  },

  finish(heap, { entries: handle }) {
    const entries = SharedMap.open(heap, handle, u32, Entry);
    entries.verify();
    let count = 0;
    for (const [key, entry] of entries.entries()) {
      checkEntry(key, entry);
      count++;
    }
    expect(count === entries.size, () => `a map of ${count} entries says that it has ${entries.size}`);
    entries.destroy();
  },
};

function makeMap(heap: Hand['heap']) {
  return SharedMap.create(heap, u32, Entry);
}

export const list: Scenario<{ handle: MutexHandle<ReturnType<typeof elements>> }> = {
  create: (heap) => ({ handle: Mutex.create(heap, elements()).handle }),

  join({ heap, random, halfway }: Hand, { handle }): Part {
    const shared = Mutex.open(heap, handle, elements());
    return {
      step() {
        shared.with(({ value: vector }) => {
          const { length } = vector;
          // The length is stored behind the elements that it counts: nothing has to be put right after a death.
          if (length > 0)
            expect(vector.at(-1) === stampOf(length - 1), () => `element ${length - 1} is wrong`);
          const kind = random(10);
          if (kind < 6 && length < MOST_ELEMENTS) vector.push(stampOf(length), stampOf(length + 1));
          else if (kind < 9) vector.pop();
          else if (random(100) === 0) vector.clear();
          halfway();
        });
      },
      hold() {
        const { value: vector } = shared.lock();
        vector.push(stampOf(vector.length));
      },
      leave: () => shared.release(),
    };
  },

  finish(heap, { handle }) {
    const shared = Mutex.open(heap, handle, elements());
    shared.with(({ value: vector }) => {
      for (const [i, stamp] of vector.toArray().entries()) {
        expect(stamp === stampOf(i), () => `element ${i} of ${vector.length} is ${stamp}`);
      }
    });
    shared.destroy();
  },
};

function elements() {
  return vec(u32);
}

export const text: Scenario<{ handle: MutexHandle<typeof string> }> = {
  create: (heap) => ({ handle: Mutex.create(heap, string, textOf(0)).handle }),

  join({ heap, random, halfway }: Hand, { handle }): Part {
    const shared = Mutex.open(heap, handle, string);
    return {
      step() {
        shared.with((cell) => {
          checkText(cell.value);
          cell.value = textOf(random(1 << 20));
          halfway();
        });
      },
      hold() {
        shared.lock().value = textOf(random(1 << 20));
      },
      leave: () => shared.release(),
    };
  },

  finish(heap, { handle }) {
    const shared = Mutex.open(heap, handle, string);
    shared.with((cell) => checkText(cell.value));
    shared.destroy();
  },
};

/** A text is replaced by one store: it is the old one or the new one. */
function checkText(found: string): void {
  const meant = textOf(Number.parseInt(found, 10));
  expect(found === meant, () => `a text is '${found}' and should be '${meant}'`);
}
