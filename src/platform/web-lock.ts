/**
 * Web Locks: how a browser tells that a thread has ended, which says nothing itself when it is terminated.
 *
 *     a thread       asks for the exclusive lock 'sabheap.thread.<id>' and never gives it back. Once it has the
 *                    lock, the id is its sign of life, and its slot in a heap says so
 *     who asks       wants the same lock, shared with others who ask. It is had when the thread has ended, and
 *                    no earlier: a worker that `terminate()` was called for runs on, in Chrome for two seconds
 *                    or until a long `fill` is done, and keeps its lock until it has written for the last time
 *
 * A thread that never had the lock cannot be told from one that has lost it. So only what the slot says, or the
 * thread itself by message, makes a lock that is had a proof. Asking and having both take turns of the event
 * loop, in Chrome those of the thread itself: one that blocks from its first task on has no sign of life.
 *
 *     page                                                    worker
 *     postMessage { kind: 'sabheap.watch', port } ──────────▶ asks for its lock; has it
 *                                            id ◀──────────── port.postMessage(id)
 *     asks for the lock of that id … has it: the worker has ended
 *
 * A Worker object does not say which thread it runs: the message asks. The library takes it in the worker
 * before anybody else sees it, if it is loaded by then.
 */

/** What is used of a lock manager. */
interface Locks {
  request(
    name: string,
    options: { readonly mode?: 'exclusive' | 'shared'; readonly signal?: AbortSignal },
    granted: () => unknown,
  ): Promise<unknown>;
}

/** What is used of a port. */
interface Port {
  onmessage: ((event: { readonly data: number }) => void) | null;
  postMessage(threadId: number): void;
  close(): void;
}

/** What is used of a message from a page to its worker. */
interface WatchMessage {
  readonly data?: { readonly kind?: unknown; readonly port?: Port } | null;
  stopImmediatePropagation(): void;
}

interface WebWorker {
  postMessage(message: object, transfer: readonly object[]): void;
}

interface WebGlobal {
  [HELD]?: number | Promise<number>;
  readonly navigator?: { readonly locks?: Locks };
  readonly Worker?: new () => WebWorker;
  readonly MessageChannel: new () => { readonly port1: Port; readonly port2: Port };
  addEventListener?(type: 'message', listener: (event: WatchMessage) => void, capture: boolean): void;
}

const KIND = 'sabheap.watch';
const HELD: unique symbol = Symbol.for('sabheap.threadLock');
const web = globalThis as unknown as WebGlobal;

/** By sign of life: whether the thread is known to have ended. False: it was asked for. */
const asked = new Map<number, boolean>();

/**
 * Asks for this thread's lock, once for all copies of the library. Gives the id when it has the lock, and 0
 * when it cannot have it.
 */
export function holdThreadLock(id: number): number | Promise<number> {
  web[HELD] ??= new Promise<number>((resolve) => {
    const settle = (sign: number): void => {
      web[HELD] = sign;
      resolve(sign);
    };
    const hold = (): Promise<never> => {
      settle(id);
      return new Promise(() => {});
    };
    if (web.navigator?.locks === undefined) settle(0);
    else web.navigator.locks.request(nameOf(id), {}, hold).catch(() => settle(0));
  });
  return web[HELD];
}

/** See `Platform.hasEnded`. Requires: the thread is known to have had its lock. */
export function hasEnded(sign: number): boolean {
  if (sign === 0) return false;
  const known = asked.get(sign);
  if (known !== undefined) return known;
  asked.set(sign, false);
  void untilUnlocked(sign).then((hasIt) => asked.set(sign, hasIt));
  return false;
}

/** See `Platform.followWorker`. */
export function followWorker(worker: unknown, ended: (threadId: number) => void): (() => void) | undefined {
  if (web.Worker === undefined || !(worker instanceof web.Worker)) return undefined;
  const { port1, port2 } = new web.MessageChannel();
  const following = new AbortController();
  port1.onmessage = async ({ data: id }) => {
    port1.close();
    if ((await untilUnlocked(id, following.signal)) && !following.signal.aborted) ended(id);
  };
  worker.postMessage({ kind: KIND, port: port2 }, [port2]);
  return () => {
    port1.close();
    following.abort();
  };
}

/** Answers those who follow this thread, once it has its lock. A thread that cannot have it does not answer. */
export function answerFollowers(signOfLife: () => number | Promise<number>): void {
  const answer = async (event: WatchMessage): Promise<void> => {
    const { kind, port } = event.data ?? {};
    if (kind !== KIND || port === undefined) return;
    event.stopImmediatePropagation();
    const sign = await signOfLife();
    if (sign !== 0) port.postMessage(sign);
  };
  web.addEventListener?.('message', answer, true);
}

/** Resolves when the thread has ended: to false when that cannot be told, or `signal` is aborted before. */
export async function untilUnlocked(id: number, signal?: AbortSignal): Promise<boolean> {
  const locks = web.navigator?.locks;
  if (locks === undefined) return false;
  try {
    await locks.request(nameOf(id), { mode: 'shared', ...(signal && { signal }) }, () => {});
    return true;
  } catch {
    return false;
  }
}

function nameOf(id: number): string {
  return `sabheap.thread.${id}`;
}
