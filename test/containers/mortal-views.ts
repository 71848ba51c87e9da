/** Views whose stores count, and throw once the thread that uses them shall be dead. Imports nothing of the library. */

type View = Int32Array;

/** What a thread dies of. */
export class Killed extends Error {}

/** The life of one victim. */
export class Life {
  /** Stores until death; Infinity while nobody counts. */
  left = Number.POSITIVE_INFINITY;
  steps = 0;
  dead = false;
  /** Inside the allocator. */
  sheltered = 0;

  /** One store is due. */
  step(): void {
    if (this.dead) throw new Killed();
    if (this.sheltered > 0 || this.left === Number.POSITIVE_INFINITY) return;
    this.steps++;
    if (this.left-- > 0) return;
    this.dead = true;
    throw new Killed();
  }
}

const targets = new WeakMap<object, { readonly view: View; readonly life: Life }>();

/** A view whose stores count. */
export function mortal<V extends object>(view: V, life: Life): V {
  const proxy = new Proxy(view, {
    get(target, key) {
      const value = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      if (key === 'subarray') return (...args: number[]) => mortal(value.apply(target, args), life);
      if (key === 'fill') return (...args: number[]) => fill(target as never, life, args);
      if (key === 'set') return (from: ArrayLike<number>, at = 0) => copyIn(target as never, life, from, at);
      if (key === 'copyWithin') return (...args: number[]) => copyWithin(target as never, life, args);
      return value.bind(target);
    },
    set(target, key, value) {
      life.step();
      return Reflect.set(target, key, value, target);
    },
  });
  targets.set(proxy, { view: view as never, life });
  return proxy;
}

function fill(view: View, life: Life, [value, from = 0, to = view.length]: number[]): void {
  copyIn(view, life, view.slice(from, to).fill(value!), from);
}

function copyWithin(view: View, life: Life, [to, from = 0, end = view.length]: number[]): void {
  copyIn(view, life, view.slice(from, end), to!);
}

/** At each quarter: as if a thread died in the middle of the engine's loop. */
function copyIn(view: View, life: Life, from: ArrayLike<number>, at: number): void {
  const source = Array.from(bare(from) as ArrayLike<number>);
  const quarter = Math.ceil(source.length / 4) || 1;
  for (let start = 0; start < source.length; start += quarter) {
    life.step();
    view.set(source.slice(start, start + quarter), at + start);
  }
}

export function bare<T>(view: T): T {
  return (targets.get(view as object)?.view ?? view) as T;
}

/** For `vi.mock`: atomics that know mortal views. */
export function mortalAtomics<M extends Record<string, unknown>>(original: M): M {
  const reads = new Set(['atomicLoad', 'bigLoad']);
  const wrapped = Object.entries(original).map(([name, fn]) => {
    if (typeof fn !== 'function' || fn.length === 0) return [name, fn];
    const call = (words: object, ...rest: unknown[]): unknown => {
      const known = targets.get(words);
      if (known !== undefined && !reads.has(name)) known.life.step();
      return fn(known?.view ?? words, ...rest);
    };
    return [name, call];
  });
  return Object.fromEntries(wrapped);
}
