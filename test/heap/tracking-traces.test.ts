/** Leak tracking where stack traces follow source maps. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';

it('tells call sites apart where source maps say where the library is', async () => {
  const library = new URL('../../dist/src/index.js', import.meta.url).href;
  const script = `
    const { parentPort } = require('node:worker_threads');
    import(${JSON.stringify(library)}).then(({ Heap }) => {
      const heap = Heap.create({ byteLength: 1024 * 1024 });
      const tracker = heap.track();
      heap.alloc(100);
      heap.alloc(1000);
      parentPort.postMessage({ sites: tracker.report().map(({ site }) => site), trace: trace(heap) });
    });
    function trace(heap) {
      let inside;
      heap.onExhausted(() => { inside = new Error().stack; });
      heap.alloc(2 ** 30);
      return inside;
    }`;
  const worker = new Worker(script, { eval: true, execArgv: ['--enable-source-maps'] });
  const ended = once(worker, 'exit');
  const [{ sites, trace }] = await once(worker, 'message');
  await ended;
  // That this runtime follows them; Bun does not.
  if (process.versions.bun === undefined) expect(trace).toContain('/src/heap/exhaustion.ts:');
  expect(new Set(sites).size).toBe(2);
  for (const site of sites) expect(site).not.toContain('/src/heap/');
});
