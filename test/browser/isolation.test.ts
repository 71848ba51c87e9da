/** Pages with the two headers share memory; a page without them is told which they are, whatever it tries. */

import { expect, test } from 'vitest';
import { commands } from 'vitest/browser';
import type {} from './visit.ts';

test('this page is isolated', () => {
  expect((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated).toBe(true);
});

test('a page without the headers, and its worker, are told them by every entry', async () => {
  const attempts = await commands.visitPlainPage();
  const facts = attempts.filter(([what]) => /isolated|buffer of/.test(what));
  expect(facts).toEqual([
    ['isolated', 'false'],
    ['buffer of shared Wasm memory', '[object SharedArrayBuffer]'],
    ['worker: isolated', 'false'],
    ['worker: buffer of shared Wasm memory', '[object SharedArrayBuffer]'],
  ]);
  const entries = attempts.filter((attempt) => !facts.includes(attempt));
  expect(entries).toHaveLength(12);
  for (const [what, error] of entries) {
    expect(error, what).toBe(
      'TypeError: Shared memory needs a cross-origin isolated page: serve it with the headers ' +
        'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.',
    );
  }
});
