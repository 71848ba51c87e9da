/**
 * Every error that sabheap throws on purpose, apart from the built-in `TypeError` (a value of the
 * wrong kind) and `RangeError` (a number outside what is allowed).
 *
 * Exhaustion is an answer (`NULL`, `false`), misuse is an error. Each message names the address or
 * the thread it is about, in the form that {@link hex} gives.
 */

/** Formats an address for messages: `0x` and at least eight hexadecimal digits. */
export function hex(address: number): string {
  return Number.isInteger(address) && address >= 0
    ? `0x${address.toString(16).padStart(8, '0')}`
    : String(address);
}

/** A value as messages name it; long strings and objects in short. */
export function show(given: unknown): string {
  if (typeof given === 'string') return JSON.stringify(given.length > 40 ? `${given.slice(0, 40)}…` : given);
  if (typeof given === 'bigint') return `${given}n`;
  if (typeof given === 'function') return `function ${given.name}`.trimEnd();
  if (typeof given !== 'object' || given === null) return String(given);
  if (Array.isArray(given)) return `an array of ${given.length}`;
  const name: unknown = given.constructor?.name;
  return typeof name === 'string' && name !== 'Object' && name !== '' ? `an object of ${name}` : 'an object';
}

/** The base of all sabheap errors: `error instanceof SabheapError` tells ours from others. */
export class SabheapError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A request that must succeed found no room. `alloc` answers `NULL` instead of throwing this. */
export class OutOfMemoryError extends SabheapError {
  /** Bytes that were asked for. */
  readonly size: number;
  constructor(size: number, detail = '') {
    super(`out of memory: no free block for ${size} bytes${detail && `; ${detail}`}`);
    this.size = size;
  }
}

/** `free`, `realloc`, `resize` or `sizeOf` was given an address that is no live block's. */
export class InvalidFreeError extends SabheapError {
  /** The address that was refused. */
  readonly address: number;
  constructor(address: number, reason: string) {
    super(`${hex(address)} is no live block: ${reason}`);
    this.address = address;
  }
}

/** The shared bytes contradict themselves: something wrote where it did not own. */
export class HeapCorruptionError extends SabheapError {
  /** Where the contradiction was found. */
  readonly address: number;
  constructor(address: number, reason: string) {
    super(`heap corrupted at ${hex(address)}: ${reason}`);
    this.address = address;
  }
}

/** A buffer or an address does not hold what `attach` was told to adopt. */
export class AttachError extends SabheapError {}

/** A lock was not had within its `lockTimeout`. The message names the owner. */
export class LockTimeoutError extends SabheapError {
  /** The owner's token, as the lock word holds it (see `sync/thread.ts`). */
  readonly owner: number;
  /**
   * @param ownerName who stands in the way; empty when nobody in particular does
   * @param subject what was waited for, where that is no lock
   */
  constructor(address: number, owner: number, ownerName: string, waitedMs: number, subject = 'lock') {
    const held = ownerName && `: it is held by ${ownerName}`;
    super(`${subject} at ${hex(address)} not had after ${Math.round(waitedMs)} ms${held}`);
    this.owner = owner;
  }
}

/** A thread took a lock that it already holds: waiting would last for ever. */
export class DeadlockError extends SabheapError {
  constructor(address: number, ownerName: string) {
    super(`lock at ${hex(address)} is already held by this thread (${ownerName})`);
  }
}

/** A thread gave back a lock that it does not hold. */
export class NotOwnerError extends SabheapError {
  constructor(address: number, ownerName: string) {
    super(`lock at ${hex(address)} is not held by this thread: it is held by ${ownerName}`);
  }
}

/** A barrier that one of the waiting threads left before all had come. Of use again after its `reset()`. */
export class BrokenBarrierError extends SabheapError {
  constructor(address: number, reason: string) {
    super(`the barrier at ${hex(address)} is broken: ${reason}`);
  }
}

/** Something was to be destroyed, or saved, that a thread holds, or waits in. */
export class BusyError extends SabheapError {
  /** @param action what was to be done: `'destroyed'`, `'saved'` */
  constructor(kind: string, address: number, holder: string, action = 'destroyed') {
    super(`the ${kind} at ${hex(address)} cannot be ${action}: it is held by ${holder}`);
  }
}

/** This thread may not block (a page's main thread), and spinning did not get what was waited for. */
export class BlockingNotAllowedError extends SabheapError {
  /** @param subject what was waited for: a lock, a `'Channel'` */
  constructor(address: number, asyncForm: string, subject = 'lock') {
    super(`this thread may not block on the ${subject} at ${hex(address)}: use ${asyncForm} here`);
  }
}

/** All thread slots of a heap are taken. */
export class TooManyThreadsError extends SabheapError {
  constructor(maxThreads: number) {
    super(
      `all ${maxThreads} thread slots of the heap are taken: detach() threads that are done, ` +
        'or create the heap with a larger maxThreads',
    );
  }
}

/** A heap handle was used after `detach()`. */
export class DetachedError extends SabheapError {
  constructor() {
    super('this thread is detached from the heap: call Heap.attach(handle) again');
  }
}

/** A Box, Arc or other owner was used after it gave up what it owned. */
export class UseAfterMoveError extends SabheapError {
  /** @param owner what it was, as people say it: `'Box of Point'` */
  constructor(owner: string) {
    super(`this ${owner} was moved: what it owned belongs to whoever received it`);
  }
}

/** Something that is bound to one thread was used from another. */
export class WrongThreadError extends SabheapError {
  constructor(address: number, what: string, ownerName: string) {
    super(`the ${what} at ${hex(address)} is bound to ${ownerName}: use an Arc to share between threads`);
  }
}

/** Something was sent to a channel or ring that is closed: nobody would receive it. */
export class ClosedError extends SabheapError {
  constructor(kind: string, address: number) {
    super(`the ${kind} at ${hex(address)} is closed: nothing can be sent any more`);
  }
}

/** A ring has another producer or consumer: it takes one of each. */
export class RoleTakenError extends SabheapError {
  constructor(role: string, address: number, threadName: string) {
    super(`the ring at ${hex(address)} has a ${role}: ${threadName}; it must release() its ring first`);
  }
}
