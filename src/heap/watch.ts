/**
 * Watched workers: how the thread that started a worker learns of its death, and has it reaped.
 *
 *     'exit'        the runtime has ended the thread and joined it: mark dead, reap. Never earlier: a thread
 *                   that `terminate()` was called for runs on, for seconds in a long `fill`. Deno says it
 *                   earlier: there the thread's sign of life decides, and without one the thread is lost
 *     id is -1      the same, for whoever asks between the thread's end and our listener
 *     idle is -1    `worker.performance.eventLoopUtilization().idle` of Node: time while the worker's loop is
 *                   there, -1 once it was taken down, 0 while nothing is known. The one sign that a parent sees
 *                   which blocks, and so gets no events. Believed when a time was seen before
 *
 * A worker's id is noted at once: its end turns it into -1. Whoever waits for a lock asks `isDead` (through
 * the slots) of the thread that holds it. Where the operating system tells it, nobody needs to ask here.
 * A browser's Worker has no id and no 'exit': the platform asks its thread for the one, and tells the other.
 */

import { exitProblem, followWorker, loopTimes, signOfLife, untilEnded } from '#platform';
import { BlockingNotAllowedError, HeapCorruptionError } from '../errors.ts';
import { SLICE_MS } from '../sync/lock.ts';
import type { ReapOptions, ReapReport, SlotTenant } from './recovery.ts';
import type { SlotInfo, ThreadSlots } from './slots.ts';

const NOT_KNOWN = { idle: 0, active: 0 };

/** What `heap.watch` takes: a Worker of `node:worker_threads`, or of a browser. */
export type WatchableWorker = NodeWorker | WebWorker;

/** What is used of a browser's Worker. */
interface WebWorker {
  postMessage(message: unknown, transfer: never[]): void;
  terminate(): void;
}

/** What is used of a Worker of `node:worker_threads`. */
interface NodeWorker {
  readonly threadId: number;
  on(event: 'online' | 'message' | 'exit', listener: () => void): unknown;
  off(event: 'online' | 'message' | 'exit', listener: () => void): unknown;
}

/** What is to be done when a watched worker has died. */
export interface WatchOptions extends ReapOptions {
  /** Called with what the worker left, once it is reaped; not when it had left the heap before its end. */
  readonly onReaped?: (report: ReapReport) => void;
  /**
   * Called when that failed: a lock was not had in time, or the heap cannot be repaired. Its slot is known to be
   * of a dead thread all the same, and `recover()` tries again. By default the error is left to those who do.
   * And where the runtime cannot tell whether the thread has ended (Deno): then what it held is poisoned.
   */
  readonly onFailed?: (error: unknown) => void;
}

/** The workers that one thread watches for one heap. */
export class WatchedWorkers {
  readonly #slots: ThreadSlots;
  readonly #reap: (tenant: SlotTenant, options: ReapOptions) => ReapReport;
  readonly #all = new Set<WatchedWorker>();
  /** What stops the watching of a browser's workers. */
  readonly #followed = new Set<() => void>();

  constructor(slots: ThreadSlots, reap: (tenant: SlotTenant, options: ReapOptions) => ReapReport) {
    this.#slots = slots;
    this.#reap = reap;
    slots.isProvenDead = (threadId) => this.isDead(threadId);
  }

  /** See `Heap.watch`. */
  add(worker: WatchableWorker, options: WatchOptions): () => void {
    const follower = this.#follow(worker, options);
    if (follower !== undefined) return follower;
    checkWorker(worker);
    const watched = new WatchedWorker(worker, () => this.#exited(watched, options));
    this.#all.add(watched);
    return () => {
      watched.stop();
      this.#all.delete(watched);
    };
  }

  #exited(watched: WatchedWorker, options: WatchOptions): void {
    const problem = exitProblem();
    if (problem !== undefined) {
      void this.#awaitEnd(watched, problem, options);
      return;
    }
    this.#all.delete(watched);
    this.#ended(watched.threadId, options);
  }

  /** A worker's thread was told to end, and may still run. */
  async #awaitEnd(watched: WatchedWorker, problem: string, options: WatchOptions): Promise<void> {
    const slots = this.#slots;
    const { threadId } = watched;
    const [tenant] = this.#tenantsOf(threadId);
    const isProven = tenant !== undefined && (await untilEnded(slots.signOf(tenant.slot)));
    if (!this.#all.delete(watched)) return;
    if (isProven) {
      this.#ended(threadId, options);
      return;
    }
    for (const lost of this.#tenantsOf(threadId)) {
      options.onFailed?.(new HeapCorruptionError(slots.lose(lost), problem));
    }
  }

  /** A browser's worker, of which the platform tells the end. */
  #follow(worker: WatchableWorker, options: WatchOptions): (() => void) | undefined {
    const stop = followWorker(worker, (threadId) => {
      this.#followed.delete(forget);
      this.#ended(threadId, options);
    });
    if (stop === undefined) return undefined;
    const forget = (): void => {
      stop();
      this.#followed.delete(forget);
    };
    this.#followed.add(forget);
    return forget;
  }

  /** Whether a watched worker's thread has ended. */
  isDead(threadId: number): boolean {
    for (const watched of this.#all) if (watched.threadId === threadId && watched.isDead()) return true;
    return false;
  }

  /** Watches none any more. */
  forget(): void {
    for (const watched of this.#all) watched.stop();
    this.#all.clear();
    for (const forget of this.#followed) forget();
  }

  #tenantsOf(threadId: number): SlotInfo[] {
    return this.#slots.taken().filter((tenant) => tenant.threadId === threadId);
  }

  #ended(threadId: number, options: WatchOptions): void {
    const slots = this.#slots;
    slots.endTakings(threadId);
    const tenants = this.#tenantsOf(threadId);
    // Each one is known to be dead before the first is reaped, which may fail and be tried again.
    for (const { slot, generation } of tenants) slots.markDead(slot, generation);
    for (const tenant of tenants) this.#reapOne(tenant, options);
  }

  #reapOne(tenant: SlotTenant, options: WatchOptions): void {
    let report: ReapReport;
    try {
      report = this.#reap(tenant, options);
    } catch (error) {
      // A page may not wait until a worker that lives is out of the allocator: it comes back.
      if (error instanceof BlockingNotAllowedError)
        setTimeout(() => this.#reapOne(tenant, options), SLICE_MS);
      // Not thrown: an event of the runtime has no caller, and would end the program.
      else options.onFailed?.(error);
      return;
    }
    options.onReaped?.(report);
  }
}

/** One worker. */
class WatchedWorker {
  readonly threadId: number;
  readonly #worker: NodeWorker;
  readonly #onExit: () => void;
  #wasSeenAlive = false;

  constructor(worker: NodeWorker, onExit: () => void) {
    this.threadId = worker.threadId;
    this.#worker = worker;
    this.#onExit = () => {
      this.stop();
      onExit();
    };
    worker.on('exit', this.#onExit);
    worker.on('online', this.#look);
    worker.on('message', this.#look);
    this.#look();
  }

  isDead(): boolean {
    const hasExited = this.#worker.threadId === -1 && exitProblem() === undefined;
    return hasExited || (this.#look() === -1 && this.#wasSeenAlive);
  }

  stop(): void {
    this.#worker.off('exit', this.#onExit);
    this.#worker.off('online', this.#look);
    this.#worker.off('message', this.#look);
  }

  /** Node tells the end of a loop only to who has asked about it before. */
  readonly #look = (): number => {
    const { idle, active } = loopTimes(this.#worker) ?? NOT_KNOWN;
    if (idle >= 0 && active > 0) this.#wasSeenAlive = true;
    return idle;
  };
}

/**
 * Resolves when other threads can notice this thread's death from now on, as far as the runtime tells them: at
 * once in Node; in a browser when the thread has its Web Lock, some milliseconds after it was first asked for
 * (`Heap.create`, `Heap.attach`, or this). A worker that will not go back to its event loop, because it waits on
 * channels or locks from its first message on, awaits this before it begins.
 */
export async function watchable(): Promise<void> {
  await signOfLife();
}

function checkWorker(worker: unknown): asserts worker is NodeWorker {
  const { threadId, on, off } = (worker ?? {}) as Partial<NodeWorker>;
  if (typeof threadId !== 'number' || typeof on !== 'function' || typeof off !== 'function') {
    throw new TypeError("watch wants a Worker of 'node:worker_threads', or in a browser a Worker");
  }
  if (threadId < 0) throw new RangeError('the worker has ended: watch it when it is started');
}
