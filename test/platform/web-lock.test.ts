/** Web Locks, with a lock manager of ours: which threads hold what when is for the test to say. */

import { MessageChannel } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type * as WebLock from '../../src/platform/web-lock.ts';

interface Request {
  readonly name: string;
  readonly mode: string;
  /** Settles when the lock is given back, or refused. */
  readonly held: Promise<unknown>;
  grant(): Promise<void>;
  refuse(): void;
}

const HELD = Symbol.for('sabheap.threadLock');
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

let requests: Request[];
let webLock: typeof WebLock;
const global = globalThis as Record<PropertyKey, unknown>;

function stubLocks(): void {
  const request = (
    name: string,
    { mode = 'exclusive', signal }: { mode?: string; signal?: AbortSignal },
    granted: () => unknown,
  ): Promise<unknown> => {
    let settle = (_: unknown): void => {};
    let refuse = (): void => {};
    const held = new Promise((resolve, reject) => {
      settle = resolve;
      refuse = () => reject(new DOMException('no', 'SecurityError'));
      signal?.addEventListener('abort', () => reject(signal.reason));
    });
    const grant = async (): Promise<void> => {
      settle(granted());
      await turn();
    };
    requests.push({ name, mode, held, grant, refuse });
    return held;
  };
  vi.stubGlobal('navigator', { locks: { request } });
}

beforeEach(async () => {
  requests = [];
  delete global[HELD];
  stubLocks();
  vi.resetModules();
  webLock = await import('../../src/platform/web-lock.ts');
});
afterEach(() => {
  delete global[HELD];
  vi.unstubAllGlobals();
});

describe("a thread's own lock", () => {
  test('is asked for once, by all copies of the library, and is never given back', async () => {
    const sign = webLock.holdThreadLock(77);
    vi.resetModules();
    const copy = await import('../../src/platform/web-lock.ts');
    expect(copy.holdThreadLock).not.toBe(webLock.holdThreadLock);
    expect(copy.holdThreadLock(77)).toBe(sign);
    expect(requests).toMatchObject([{ name: 'sabheap.thread.77', mode: 'exclusive' }]);
    let given: unknown;
    void requests[0]!.held.then((value) => {
      given = value ?? 'back';
    });
    await requests[0]!.grant();
    expect(await sign).toBe(77);
    expect(webLock.holdThreadLock(77), 'at once from now on').toBe(77);
    expect(given).toBeUndefined();
  });

  test('is no sign of life while it is only asked for', () => {
    expect(webLock.holdThreadLock(77)).toBeInstanceOf(Promise);
    expect(webLock.holdThreadLock(77)).toBeInstanceOf(Promise);
  });

  test('may be refused, or there are none: the thread has no sign of life', async () => {
    const sign = webLock.holdThreadLock(77);
    requests[0]!.refuse();
    expect(await sign).toBe(0);
    delete global[HELD];
    vi.stubGlobal('navigator', {});
    expect(await webLock.holdThreadLock(77)).toBe(0);
  });
});

describe('whether a thread has ended', () => {
  test('is asked once, and true when its lock is had', async () => {
    expect(webLock.hasEnded(77)).toBe(false);
    expect(webLock.hasEnded(77)).toBe(false);
    expect(requests).toMatchObject([{ name: 'sabheap.thread.77', mode: 'shared' }]);
    await turn();
    expect(webLock.hasEnded(77)).toBe(false);
    await requests[0]!.grant();
    expect(webLock.hasEnded(77)).toBe(true);
    expect(webLock.hasEnded(78)).toBe(false);
  });

  test('is not known of a thread without a sign of life, nor where asking is refused', async () => {
    expect(webLock.hasEnded(0)).toBe(false);
    expect(requests).toEqual([]);
    webLock.hasEnded(77);
    requests[0]!.refuse();
    await turn();
    expect(webLock.hasEnded(77)).toBe(false);
    vi.stubGlobal('navigator', undefined);
    expect(webLock.hasEnded(78)).toBe(false);
    await turn();
    expect(webLock.hasEnded(78)).toBe(false);
  });
});

describe('a worker', () => {
  /** Its messages arrive at once at what listens in this thread. */
  class StubWorker {
    postMessage(data: unknown): void {
      const event = Object.assign(new Event('message', { cancelable: true }), { data });
      scope.dispatchEvent(event);
    }
  }
  let scope: EventTarget;
  let seen: unknown[];

  beforeEach(() => {
    scope = new EventTarget();
    seen = [];
    vi.stubGlobal('Worker', StubWorker);
    vi.stubGlobal('MessageChannel', MessageChannel);
    vi.stubGlobal('addEventListener', scope.addEventListener.bind(scope));
    webLock.answerFollowers(() => 77);
    scope.addEventListener('message', (event) => seen.push((event as Event & { data: unknown }).data));
  });

  test('answers who it is, and is followed to its end', async () => {
    const ended = vi.fn();
    const stop = webLock.followWorker(new StubWorker(), ended)!;
    await turn();
    expect(requests).toMatchObject([{ name: 'sabheap.thread.77', mode: 'shared' }]);
    expect(ended).not.toHaveBeenCalled();
    await requests[0]!.grant();
    expect(ended.mock.calls).toEqual([[77]]);
    stop();
    expect(seen, 'nobody else sees the question').toEqual([]);
  });

  test('is followed no more once that is stopped, before it answered and after', async () => {
    const ended = vi.fn();
    webLock.followWorker(new StubWorker(), ended)!();
    const stop = webLock.followWorker(new StubWorker(), ended)!;
    await turn();
    expect(requests).toHaveLength(1);
    stop();
    await requests[0]!.grant();
    expect(ended).not.toHaveBeenCalled();
  });

  test('without a sign of life does not answer', async () => {
    scope = new EventTarget();
    vi.stubGlobal('addEventListener', scope.addEventListener.bind(scope));
    webLock.answerFollowers(() => Promise.resolve(0));
    const stop = webLock.followWorker(new StubWorker(), vi.fn())!;
    await turn();
    expect(requests).toEqual([]);
    stop();
  });

  test('sees its other messages', () => {
    for (const data of [undefined, null, 5, 'text', {}, { kind: 'sabheap.watch' }, { port: 1 }]) {
      new StubWorker().postMessage(data);
    }
    expect(seen).toHaveLength(7);
  });

  test('is what the page calls one', () => {
    for (const none of [undefined, null, {}, new EventTarget()]) {
      expect(webLock.followWorker(none, vi.fn())).toBeUndefined();
    }
    vi.stubGlobal('Worker', undefined);
    expect(webLock.followWorker(new StubWorker(), vi.fn())).toBeUndefined();
  });
});
