/**
 * What users bundle of the packed library, and of workers that they start by the literal
 *
 *     new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
 *
 * Vite follows that URL and builds the worker along with the page. esbuild leaves it as it stands: there the worker
 * is an entry point too, built beside the other one.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build as esbuild } from 'esbuild';
import type { Browser } from 'playwright';
import { createServer, preview, build as vite } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium } from '../pages/chromium.ts';
import { type Consumer, Shop } from './consumer.ts';

const SHARED = `
import { atomic, Heap, i32, SharedMap, string, struct, u32 } from 'sabheap';
export const Sum = struct('Sum', { total: atomic(i32) });
export const words = SharedMap.type(string, u32);
export function work(handle) {
  const heap = Heap.attach(handle);
  const sum = heap.roots.open('sum', Sum);
  for (let i = 1; i <= 100; i++) sum.total.add(i);
  heap.roots.open('words', words).add('worker', 1);
  heap.free(heap.alloc(100));
}
export function prepare() {
  const heap = Heap.create({ byteLength: 2 ** 20 });
  heap.roots.set('sum', heap.new(Sum));
  heap.roots.set('words', SharedMap.create(heap, string, u32));
  return heap;
}
export function result(heap) {
  heap.verify();
  return heap.roots.open('sum', Sum).total.load() + ' ' + heap.roots.open('words', words).get('worker');
}
`;
const RESULT = '5050 1';

const PAGE = `
import { prepare, result } from './shared.js';
const say = (text) => { document.body.textContent = text; };
addEventListener('error', ({ message }) => say(message));
const heap = prepare();
const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
worker.onerror = ({ message }) => say(message || 'the worker did not start');
worker.onmessage = () => say(result(heap));
worker.postMessage(heap.handle);
`;
const PAGE_WORKER = `
import { work } from './shared.js';
onmessage = ({ data }) => { work(data); postMessage('done'); };
`;
const PROGRAM = `
import { Worker } from 'node:worker_threads';
import { prepare, result } from './shared.js';
const heap = prepare();
const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', workerData: heap.handle });
worker.on('exit', () => console.log(result(heap)));
`;
const PROGRAM_WORKER = `
import { workerData } from 'node:worker_threads';
import { work } from './shared.js';
work(workerData);
`;

let shop: Shop;
let consumer: Consumer;
let browser: Browser;
beforeAll(async () => {
  shop = new Shop();
  consumer = shop.consumer('bundled');
  for (const [folder, main, worker] of [
    ['page', PAGE, PAGE_WORKER],
    ['program', PROGRAM, PROGRAM_WORKER],
  ] as const) {
    consumer.write(`${folder}/main.js`, main);
    consumer.write(`${folder}/worker.js`, worker);
    consumer.write(`${folder}/shared.js`, SHARED);
  }
  consumer.write('page/index.html', '<!doctype html><script type="module" src="./main.js"></script>');
  browser = await launchChromium();
});
afterAll(async () => {
  await browser?.close();
  shop?.close();
});

/** All scripts that were built into a folder. */
function scriptsIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .map((name) => readFileSync(join(folder, name), 'utf8'));
}

/** What the page at an address shows in the end. */
async function look(url: string): Promise<string> {
  const page = await browser.newPage();
  try {
    await page.goto(url, { timeout: 120_000 });
    await page.waitForFunction('document.body.textContent !== ""', undefined, { timeout: 120_000 });
    return await page.innerText('body');
  } finally {
    await page.close();
  }
}

/** Serves a folder of the consumer over the loopback, and looks at its page. */
async function open(folder: string, headers: Record<string, string>): Promise<string> {
  const server = await preview({
    ...{ root: consumer.path(folder), configFile: false, logLevel: 'error' },
    preview: { host: '127.0.0.1', port: 0, headers },
    build: { outDir: '.' },
  });
  try {
    return await look(server.resolvedUrls!.local[0]!);
  } finally {
    await server.close();
  }
}

const ISOLATED = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** Only src/platform/web.ts draws thread ids by this. */
const WEB = 'getRandomValues';
/** Only src/platform/node.ts looks there. */
const NODE = '/proc/self/task';

function checkIsForBrowsers(scripts: string[]): void {
  const all = scripts.join('\n');
  expect(all).toContain(WEB);
  expect(all).not.toContain(NODE);
  expect(/(from|import|require)\W{0,2}["']node:/.exec(all)?.[0]).toBeUndefined();
}

describe('Vite, with nothing configured', () => {
  beforeAll(async () => {
    await vite({ root: consumer.path('page'), configFile: false, logLevel: 'error' });
  });

  test('builds the worker along with the page, for browsers', () => {
    const scripts = scriptsIn(consumer.path('page/dist'));
    expect(scripts).toHaveLength(2);
    for (const script of scripts) checkIsForBrowsers([script]);
  });

  test('what it has built runs', async () => {
    expect(await open('page/dist', ISOLATED)).toBe(RESULT);
  });

  test('without the headers the page is told which are missing', async () => {
    const said = await open('page/dist', {});
    expect(said).toContain('Cross-Origin-Opener-Policy: same-origin');
    expect(said).toContain('Cross-Origin-Embedder-Policy: require-corp');
  });
});

test("Vite's development server serves it too", async () => {
  const server = await createServer({
    ...{ root: consumer.path('page'), configFile: false, logLevel: 'error' },
    server: { host: '127.0.0.1', port: 0, headers: ISOLATED },
  });
  try {
    await server.listen();
    expect(await look(server.resolvedUrls!.local[0]!)).toBe(RESULT);
  } finally {
    await server.close();
  }
});

describe('esbuild, with two entry points', () => {
  async function build(folder: string, platform: 'browser' | 'node'): Promise<string> {
    const outdir = consumer.path(`${folder}/esbuilt`);
    const { warnings } = await esbuild({
      entryPoints: ['main.js', 'worker.js'].map((name) => consumer.path(`${folder}/${name}`)),
      ...{ bundle: true, format: 'esm', splitting: true, target: 'es2022', logLevel: 'silent' },
      ...{ platform, outdir },
    });
    expect(warnings).toEqual([]);
    return outdir;
  }

  test('what it has built runs in a page', async () => {
    checkIsForBrowsers(scriptsIn(await build('page', 'browser')));
    consumer.write('page/esbuilt/index.html', readFileSync(consumer.path('page/index.html'), 'utf8'));
    expect(await open('page/esbuilt', ISOLATED)).toBe(RESULT);
  });

  test('and in Node', async () => {
    const all = scriptsIn(await build('program', 'node')).join('\n');
    expect(all).toContain(NODE);
    expect(all).not.toContain(WEB);
    expect(consumer.node('program/esbuilt/main.js')).toEqual({
      status: 0,
      output: `${RESULT}\n`,
      complaints: '',
    });
  });

  test('with one entry point there is no worker', async () => {
    await esbuild({
      entryPoints: [consumer.path('page/main.js')],
      ...{ bundle: true, format: 'esm', target: 'es2022', logLevel: 'silent' },
      outdir: consumer.path('page/alone'),
    });
    consumer.write('page/alone/index.html', readFileSync(consumer.path('page/index.html'), 'utf8'));
    expect(await open('page/alone', ISOLATED)).toBe('the worker did not start');
  });
});
