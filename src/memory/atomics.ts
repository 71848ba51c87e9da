/**
 * The one seam between the library and `Atomics`: no other file names it, so that a test can put a
 * scheduler in its place. V8 calls a builtin for each of these (9 to 15 ns); a plain load or store
 * of a typed array costs about one.
 *
 * `Words` are the element types that `Atomics` takes for read-modify-write; only `Int32Array` waits.
 */

/** 32-bit views that atomic operations work on. */
export type Words = Int32Array | Uint32Array;
/** 64-bit views that atomic operations work on. */
export type BigWords = BigInt64Array | BigUint64Array;

export function atomicLoad(words: Words, index: number): number {
  return Atomics.load(words, index);
}

export function atomicStore(words: Words, index: number, value: number): void {
  Atomics.store(words, index, value);
}

export function atomicExchange(words: Words, index: number, value: number): number {
  return Atomics.exchange(words, index, value);
}

/** Stores `value` if the word holds `expected`. Returns what the word held before. */
export function compareExchange(words: Words, index: number, expected: number, value: number): number {
  return Atomics.compareExchange(words, index, expected, value);
}

/** Adds, wrapping at 32 bits. Returns what the word held before. */
export function atomicAdd(words: Words, index: number, value: number): number {
  return Atomics.add(words, index, value);
}

export function atomicSub(words: Words, index: number, value: number): number {
  return Atomics.sub(words, index, value);
}

export function atomicAnd(words: Words, index: number, value: number): number {
  return Atomics.and(words, index, value);
}

export function atomicOr(words: Words, index: number, value: number): number {
  return Atomics.or(words, index, value);
}

export function bigLoad(words: BigWords, index: number): bigint {
  return Atomics.load(words, index);
}

export function bigStore(words: BigWords, index: number, value: bigint): void {
  Atomics.store(words, index, value);
}

export function bigExchange(words: BigWords, index: number, value: bigint): bigint {
  return Atomics.exchange(words, index, value);
}

export function bigCompareExchange(words: BigWords, index: number, expected: bigint, value: bigint): bigint {
  return Atomics.compareExchange(words, index, expected, value);
}

export function bigAdd(words: BigWords, index: number, value: bigint): bigint {
  return Atomics.add(words, index, value);
}

export function bigSub(words: BigWords, index: number, value: bigint): bigint {
  return Atomics.sub(words, index, value);
}

export function bigAnd(words: BigWords, index: number, value: bigint): bigint {
  return Atomics.and(words, index, value);
}

export function bigOr(words: BigWords, index: number, value: bigint): bigint {
  return Atomics.or(words, index, value);
}

/** What a wait ended with: notified, the word had changed already, or the time was up. */
export type WaitResult = 'ok' | 'not-equal' | 'timed-out';

/**
 * Sleeps while the word holds `value`, until notified or `timeoutMs` is up. Blocks the thread: a
 * page's main thread gets a `TypeError` from the engine.
 */
export function wait(words: Int32Array, index: number, value: number, timeoutMs: number): WaitResult {
  return Atomics.wait(words, index, value, timeoutMs);
}

/** Wakes up to `count` threads that wait on the word. Returns how many were woken. */
export function notify(words: Int32Array, index: number, count: number): number {
  return Atomics.notify(words, index, count);
}

interface AsyncWaiter {
  waitAsync?(
    words: Int32Array,
    index: number,
    value: number,
    timeoutMs: number,
  ): { async: false; value: 'not-equal' | 'timed-out' } | { async: true; value: Promise<'ok' | 'timed-out'> };
  pause?(iterations?: number): void;
}

const modern = Atomics as AsyncWaiter;

/** Whether the runtime has `Atomics.waitAsync` and `Atomics.pause`. */
export const hasWaitAsync: boolean = modern.waitAsync !== undefined;
export const hasPause: boolean = modern.pause !== undefined;

/** How often a runtime without `Atomics.waitAsync` looks at the word again, in ms. */
const POLL_MS = 1;

/**
 * As {@link wait}, without blocking the thread. Where the runtime has no `Atomics.waitAsync` the word
 * is polled by a timer.
 */
export async function waitAsync(
  words: Int32Array,
  index: number,
  value: number,
  timeoutMs: number,
): Promise<WaitResult> {
  if (modern.waitAsync !== undefined) {
    const waiting = modern.waitAsync(words, index, value, timeoutMs).value;
    return typeof waiting === 'string' ? waiting : keepAlive(waiting);
  }
  const deadline = performance.now() + timeoutMs;
  if (Atomics.load(words, index) !== value) return 'not-equal';
  while (performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (Atomics.load(words, index) !== value) return 'ok';
  }
  return 'timed-out';
}

/** What ends a sleep early: an `AbortSignal`. */
export interface Aborter {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/**
 * As {@link waitAsync}, and ends with `'aborted'` when the signal is. The engine counts it as a sleeper until
 * the time is up: the wake-up that it may still get is another's, and `late` is called then. Leaves no listener.
 */
export function waitAbortable(
  words: Int32Array,
  index: number,
  value: number,
  timeoutMs: number,
  signal: Aborter,
  late: () => void,
): Promise<WaitResult | 'aborted'> {
  const slept = waitAsync(words, index, value, timeoutMs);
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      resolve('aborted');
      void slept.then((result) => {
        if (result === 'ok') late();
      });
    };
    signal.addEventListener('abort', abort, { once: true });
    slept.then((result) => {
      signal.removeEventListener('abort', abort);
      resolve(result);
    }, reject);
    // An abort between the caller's look and the listener.
    if (signal.aborted) abort();
  });
}

/** How often the timer of {@link keepAlive} goes off, in ms. */
const KEEP_ALIVE_MS = 1000;

/** Node takes no notice of a pending `Atomics.waitAsync` and would end the process; of a timer it does. */
async function keepAlive<T>(waiting: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, KEEP_ALIVE_MS);
  try {
    return await waiting;
  } finally {
    clearInterval(timer);
  }
}

/** Tells the processor that this is a spin loop, where `Atomics.pause` exists; else does nothing. */
export const pause: () => void =
  modern.pause === undefined ? () => {} : () => (modern.pause as () => void).call(Atomics);
