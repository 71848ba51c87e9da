import { afterEach, expect, test, vi } from 'vitest';
import { isolationProblem, keepsOrder, mayBlock, onExit, threadId } from '../../src/platform/web.ts';

afterEach(() => vi.unstubAllGlobals());

/** Stands in for a page: an event target that reports when it goes. */
function stubPage(): { leave(persisted: boolean): void } {
  const page = new EventTarget();
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
  vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page));
  return {
    leave: (persisted) => page.dispatchEvent(Object.assign(new Event('pagehide'), { persisted })),
  };
}

test('a thread draws one id, positive and below 2 ** 29, and keeps it', () => {
  const id = threadId();
  expect(Number.isInteger(id)).toBe(true);
  expect(id).toBeGreaterThan(0);
  expect(id).toBeLessThan(2 ** 29);
  expect(threadId()).toBe(id);
});

test('a second copy of the library finds the same id', async () => {
  const id = threadId();
  vi.resetModules();
  const copy = await import('../../src/platform/web.ts');
  expect(copy.threadId).not.toBe(threadId);
  expect(copy.threadId()).toBe(id);
});

test.each([
  [0, 1],
  [2 ** 32 - 1, 2 ** 29 - 1],
])('the random word %i gives the id %i', async (word, id) => {
  const global = globalThis as Record<PropertyKey, unknown>;
  const key = Symbol.for('sabheap.threadId');
  const kept = global[key];
  delete global[key];
  vi.stubGlobal('crypto', { getRandomValues: (array: Uint32Array) => array.fill(word) });
  try {
    expect(threadId()).toBe(id);
  } finally {
    global[key] = kept;
  }
});

test('the thread of a page may not block, a worker may', () => {
  expect(mayBlock()).toBe(true);
  vi.stubGlobal('document', {});
  expect(mayBlock()).toBe(false);
});

test('the callback runs once, when the page goes for good', () => {
  const page = stubPage();
  const callback = vi.fn();
  onExit(callback);
  page.leave(true);
  expect(callback).not.toHaveBeenCalled();
  page.leave(false);
  page.leave(false);
  expect(callback).toHaveBeenCalledTimes(1);
});

test('a removed callback does not run', () => {
  const page = stubPage();
  const callback = vi.fn();
  onExit(callback)();
  page.leave(false);
  expect(callback).not.toHaveBeenCalled();
});

test('a page that is not isolated is told the two headers', () => {
  expect(isolationProblem()).toContain('Cross-Origin-Opener-Policy: same-origin');
  expect(isolationProblem()).toContain('Cross-Origin-Embedder-Policy: require-corp');
  vi.stubGlobal('crossOriginIsolated', true);
  expect(isolationProblem()).toBeUndefined();
});

test('a page does not know its processor', () => {
  expect(keepsOrder()).toBe(false);
});
