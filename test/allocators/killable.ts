/**
 * Killable memory: views whose stores are counted, and the thread behind them killed at the n-th one.
 *
 *      store 1 ── store 2 ── … ── store n ┤ Killed is thrown; whatever is accessed then throws it again,
 *                                         ┤ so that no `finally` and no `catch` of the dead writes a byte
 *
 * The bytes are real ones: another memory over the same buffer shows what the dead thread left. A `fill`
 * counts as four stores, for it may be cut short too.
 */

import { Memory } from '../../src/memory/memory.ts';

/** What a killed thread ends with. */
export class Killed extends Error {}

/** Counts a thread's stores and ends it. */
export class Fuse {
  /** Stores made so far. */
  stores = 0;
  #limit: number;
  #isDead = false;

  /** @param limit how many stores the thread may make */
  constructor(limit = Number.POSITIVE_INFINITY) {
    this.#limit = limit;
  }

  /** Counts anew from here. */
  arm(limit: number): void {
    this.stores = 0;
    this.#limit = limit;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  load(): void {
    if (this.#isDead) throw new Killed();
  }

  store(): void {
    if (this.#isDead || this.stores >= this.#limit) {
      this.#isDead = true;
      throw new Killed();
    }
    this.stores++;
  }
}

type View = Int32Array | Uint32Array | Uint8Array | Float64Array;

const FILL_STEPS = 4;
const targets = new WeakMap<object, { view: View; fuse: Fuse }>();

function proxied(view: View, fuse: Fuse): View {
  const fill = (value: number, from = 0, to = view.length): View => {
    const step = Math.ceil((to - from) / FILL_STEPS);
    for (let at = from; at < to; at += step) {
      fuse.store();
      view.fill(value, at, Math.min(to, at + step));
    }
    return view;
  };
  const copyWithin = (...where: [number, number, number?]): View => {
    fuse.store();
    return view.copyWithin(...where) as View;
  };
  const proxy = new Proxy(view, {
    get(target, key) {
      fuse.load();
      if (key === 'fill') return fill;
      if (key === 'copyWithin') return copyWithin;
      return Reflect.get(target, key, target);
    },
    set(target, key, value) {
      fuse.store();
      return Reflect.set(target, key, value, target);
    },
  });
  targets.set(proxy, { view, fuse });
  return proxy;
}

/** Views over `buffer` for a thread that the fuse ends. */
export function killable(buffer: SharedArrayBuffer, fuse: Fuse): Memory {
  const memory = Memory.attach(buffer);
  for (const name of ['i32', 'u32', 'u8', 'f64'] as const) {
    Object.defineProperty(memory, name, { value: proxied(memory[name], fuse) });
  }
  return memory;
}

/**
 * The functions of src/memory/atomics.ts, for killable views too: they count as a load (`atomicLoad`,
 * `wait`, `notify`) or as a store.
 */
export function killableAtomics(actual: Record<string, unknown>): Record<string, unknown> {
  const isLoad = new Set(['atomicLoad', 'bigLoad', 'wait', 'waitAsync', 'notify']);
  const replaced = Object.entries(actual).map(([name, fn]) => {
    if (typeof fn !== 'function') return [name, fn];
    const through = (words: object, ...rest: unknown[]): unknown => {
      const target = words === undefined ? undefined : targets.get(words);
      if (target === undefined) return fn(words, ...rest);
      if (isLoad.has(name)) target.fuse.load();
      else target.fuse.store();
      return fn(target.view, ...rest);
    };
    return [name, through];
  });
  return Object.fromEntries(replaced);
}

/**
 * Runs `act` with a memory whose thread dies at its `limit`-th store.
 *
 * @returns whether it died, and how many stores it made
 */
export function runKilled(
  buffer: SharedArrayBuffer,
  limit: number,
  act: (memory: Memory) => void,
): { died: boolean; stores: number } {
  const fuse = new Fuse(limit);
  try {
    act(killable(buffer, fuse));
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
  }
  return { died: fuse.isDead, stores: fuse.stores };
}
