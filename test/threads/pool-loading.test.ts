/** Pools that end while their threads still load their file: Node before 24 ends the process for that. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { Heap, KiB } from '../../src/index.ts';
import { createHeapPool } from '../../src/threads/piscina.ts';

const IS_DELICATE = Number.parseInt(process.versions.node, 10) < 24;
const MODULES = 40;
const FUNCTIONS = 50;
const ROUNDS = 16;

const folder = mkdtempSync(join(tmpdir(), 'sabheap-loading-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 256 * KiB, maxThreads: 8 });
});
afterEach(() => {
  expect(heap.threads()).toHaveLength(1);
  heap.detach();
});

function write(name: string, source: string): string {
  const path = join(folder, name);
  writeFileSync(path, source);
  return path;
}

/** The first of a chain of modules: linking them takes some milliseconds. */
function writeChain(): string {
  const functions = Array.from({ length: FUNCTIONS }, (_, n) => `export function f${n}() { return ${n}; }`);
  for (let index = 0; index < MODULES; index++) {
    const next = index + 1 < MODULES ? `import './${index + 1}.mjs';` : '';
    write(`${index}.mjs`, [next, ...functions, 'export default () => 7;'].join('\n'));
  }
  return join(folder, '0.mjs');
}

// Before pools waited for it, one run of this in two ended the process, on Node 20 and 22.
test('at whatever moment of it: the process goes on', async () => {
  const filename = writeChain();
  for (let round = 0; round < ROUNDS; round++) {
    const pool = createHeapPool({ heap, filename, minThreads: 2, maxThreads: 2 });
    await sleep(round * 4);
    await pool.destroy();
    expect(pool.threads).toEqual([]);
  }
});

test.each(['destroy', 'close'] as const)('%s() waits for the file where it has to', async (end) => {
  const filename = write(
    'slow.mjs',
    `import { workerData } from 'node:worker_threads';
     const until = performance.now() + 100;
     while (performance.now() < until);
     workerData.loaded[0] = 1;
     export default () => {};`,
  );
  const loaded = new Int32Array(new SharedArrayBuffer(4));
  const pool = createHeapPool({ heap, filename, minThreads: 1, maxThreads: 1, workerData: { loaded } });
  await pool[end]();
  expect(pool.threads).toEqual([]);
  if (IS_DELICATE) expect(loaded[0]).toBe(1);
});

test('a file that is never loaded holds that up for a moment only', async () => {
  const filename = write('never.mjs', 'await new Promise((resolve) => setTimeout(resolve, 2 ** 30));');
  const pool = createHeapPool({ heap, filename, minThreads: 1, maxThreads: 1 });
  const began = performance.now();
  await pool.destroy();
  expect(performance.now() - began).toBeLessThan(300_000);
});
