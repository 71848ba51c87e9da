/**
 * A thread of a heap that dies at the n-th thing it does to shared bytes: every plain store, every atomic
 * operation, every change of a block's owner counts as a step. Once dead it can do nothing more, so that no
 * `catch` or `finally` of the code under test tidies up after it. Files that use it mock
 * `src/memory/atomics.ts` with `{ spy: true }`.
 */

import { vi } from 'vitest';
import type { ContainerStore } from '../../src/containers/store.ts';
import type { Heap } from '../../src/heap/heap.ts';
import { ThreadSlots } from '../../src/heap/slots.ts';
import { readSuperblock } from '../../src/heap/superblock.ts';
import type { Address } from '../../src/memory/address.ts';
import * as atomics from '../../src/memory/atomics.ts';
import { ParkLock } from '../../src/sync/park-lock.ts';
import { Thread } from '../../src/sync/thread.ts';

/** What ends the thread. */
export class Killed extends Error {}

type View = Int32Array | Uint32Array;

/** The table of the heap's thread slots, as another thread has it. */
export function slotsOf({ memory }: Heap): ThreadSlots {
  const { slots, maxThreads } = readSuperblock(memory);
  return new ThreadSlots(memory, slots, maxThreads);
}

/** Tells everybody that a thread is dead. */
export function die(heap: Heap, { slot, generation }: Pick<Thread, 'slot' | 'generation'>): void {
  slotsOf(heap).markDead(slot, generation);
}

/** Counts steps, and ends who takes them at one of them. */
export class Fuse {
  steps = 0;
  /** At which step it goes off: before it is done. 0: never. */
  readonly at: number;
  isLit = false;
  readonly #views = new Map<View, View>();

  constructor(at: number) {
    this.at = at;
  }

  step(): void {
    if (!this.isLit) return;
    this.steps++;
    if (this.at !== 0 && this.steps >= this.at) throw new Killed();
  }

  /** The same words; each write is a step. */
  wrap<V extends View>(view: V): V {
    const known = this.#views.get(view);
    if (known !== undefined) return known as V;
    const wrapped = new Proxy(view, {
      get: (target, key) => {
        const value = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
      set: (target, key, value: number) => {
        this.step();
        target[Number(key)] = value;
        return true;
      },
    });
    this.#views.set(view, wrapped);
    originals.set(wrapped, { view, fuse: this });
    return wrapped;
  }
}

const originals = new WeakMap<object, { view: View; fuse: Fuse }>();

/** Lets the atomic operations work on wrapped words, each change a step. */
export function mockAtomics(): void {
  unwrapIn(atomics.atomicLoad, 'load');
  unwrapIn(atomics.atomicStore, 'store');
  unwrapIn(atomics.atomicExchange, 'exchange');
  unwrapIn(atomics.compareExchange, 'compareExchange');
  unwrapIn(atomics.atomicAdd, 'add');
  unwrapIn(atomics.atomicSub, 'sub');
  unwrapIn(atomics.atomicAnd, 'and');
  unwrapIn(atomics.atomicOr, 'or');
  unwrapIn(atomics.notify, 'notify');
}

type Act = 'load' | 'store' | 'exchange' | 'compareExchange' | 'add' | 'sub' | 'and' | 'or' | 'notify';

function unwrapIn(mocked: (words: never, ...rest: number[]) => unknown, name: Act): void {
  const act = Atomics[name] as (words: View, ...rest: number[]) => number;
  const mock = vi.mocked(mocked) as unknown as { mockImplementation(fn: unknown): void };
  mock.mockImplementation((words: View, ...rest: number[]) => {
    const original = originals.get(words);
    if (original !== undefined && name !== 'load') original.fuse.step();
    return act(original?.view ?? words, ...rest);
  });
}

/** What `victim` does with a lit fuse ends it at a step. */
export function mortal(victim: Heap, fuse: Fuse): ContainerStore {
  const { memory, thread, lockTimeout } = victim;
  const words = fuse.wrap(memory.i32);
  const mine = Thread.inSlot(thread.slot, thread.generation, words, thread.pending, slotsOf(victim));
  const wrapped = Object.create(memory, {
    i32: { value: words },
    u32: { value: fuse.wrap(memory.u32) },
  });
  const counted =
    <A extends unknown[], R>(act: (...args: A) => R) =>
    (...args: A): R => {
      fuse.step();
      return act(...args);
    };
  const store = Object.create(victim, {
    memory: { value: wrapped },
    thread: { value: mine },
    layouts: { value: victim.layouts },
    id: { value: victim.id },
    lock: {
      value: (address: Address, repair?: () => void) =>
        new ParkLock(wrapped, address, { thread: mine, timeout: lockTimeout, repair }),
    },
    generationOf: { value: (address: Address) => victim.generationOf(address) },
    alloc: { value: counted((size: number, align?: number) => victim.alloc(size, align)) },
    allocZeroed: { value: counted((size: number, align?: number) => victim.allocZeroed(size, align)) },
    free: { value: counted((address: Address) => victim.free(address)) },
    tryShare: { value: counted((address: Address) => victim.tryShare(address)) },
    tryAdopt: { value: counted((address: Address) => victim.tryAdopt(address)) },
    trySend: { value: counted((address: Address) => victim.trySend(address)) },
    tryReceive: {
      value: counted((address: Address, generation?: number) => victim.tryReceive(address, generation)),
    },
  }) as ContainerStore;
  victim.layouts.home = store as never;
  return store;
}

/**
 * Runs `act` with a fuse that goes off at each step in turn, until it comes to its end.
 *
 * @param scene makes a scene of its own for each; `act` is what dies, `check` looks at what is left
 * @returns how many steps there were
 */
export function killAtEveryStep(
  scene: (fuse: Fuse) => { act: () => void; check: (step: number) => void },
): number {
  for (let step = 1; ; step++) {
    const fuse = new Fuse(step);
    const { act, check } = scene(fuse);
    fuse.isLit = true;
    let ended = true;
    try {
      act();
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      ended = false;
    }
    fuse.isLit = false;
    check(step);
    if (ended) return step - 1;
  }
}
