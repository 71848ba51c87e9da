import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import type { Plugin } from 'vite';
import { configDefaults, defineConfig } from 'vitest/config';
import { FILES, FOLDERS, TESTS } from './test/browser/left-out.ts';
import { type BrowserName, pathOf, puppeteer } from './test/browser/puppeteer.ts';
import { visitPlainPage } from './test/browser/visit.ts';

const ROOT = fileURLToPath(new URL('.', import.meta.url));
const BUILT = `${ROOT}node_modules/.cache/browser/sabheap.js`;
const NODE = `${ROOT}test/browser/node.ts`;
const EVERYTHING = `test/{${FOLDERS.join()}}/**/*.test.ts`;
const OWN_TESTS = 'test/browser/**/*.test.ts';

/**
 * The suites in a page: `npm run test:browser`. In Chromium all that need no Node, in Firefox the browser's own;
 * `EVERYTHING=firefox` runs all of them there too. Every file and test that is left out is told with its reason.
 */
const instances = (['chromium', 'firefox'] as const satisfies BrowserName[]).filter((browser) => {
  if (pathOf(browser) !== undefined) return true;
  const how = `install it, or say where it is: ${browser.toUpperCase()}=/path/to/${browser}`;
  if (browser === 'chromium') throw new Error(`there is no Chromium to test with: ${how}`);
  console.log(`Left out: the browser's own tests in Firefox, which is not installed (${how})`);
  return false;
});

for (const [file, reason] of Object.entries(FILES)) {
  if (!existsSync(new URL(`test/${file}`, import.meta.url))) throw new Error(`no test/${file} to leave out`);
  console.log(`Left out: test/${file} ${reason}`);
}
for (const [file, name] of TESTS) {
  const text = readFileSync(new URL(`test/${file}`, import.meta.url), 'utf8');
  if (!text.includes(`'${name}`)) throw new Error(`test/${file} has no test '${name}…' to leave out`);
}

/** The suites run the sources; the browser's own tests, and their workers, the built library in one file. */
const sourcesOrBuilt: Plugin = {
  name: 'sources-or-built',
  enforce: 'pre',
  resolveId(source, importer = '') {
    if (source === '#platform') return `${ROOT}src/platform/web.ts`;
    return source === '../../src/index.ts' && importer.startsWith(`${ROOT}test/browser/`) ? BUILT : undefined;
  },
};
buildSync({
  entryPoints: [`${ROOT}dist/src/index.js`],
  outfile: BUILT,
  bundle: true,
  format: 'esm',
  platform: 'browser',
  sourcemap: 'inline',
});

export default defineConfig({
  plugins: [sourcesOrBuilt],
  resolve: {
    alias: [{ find: /^node:(child_process|util|v8|worker_threads|zlib)$/, replacement: NODE }],
  },
  // Named here, since finding one while the suites run would reload their pages.
  optimizeDeps: { include: ['buffer/', 'fast-check', 'node-inspect-extracted'], noDiscovery: true },
  define: { 'process.env': '({})' },
  server: {
    headers: {
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
    },
  },
  test: {
    include: [EVERYTHING],
    exclude: [...configDefaults.exclude, ...Object.keys(FILES).map((file) => `test/${file}`)],
    setupFiles: ['test/browser/setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: puppeteer,
      commands: { visitPlainPage },
      instances: instances.map((browser) => ({
        browser,
        include: [browser === 'chromium' || process.env.EVERYTHING === browser ? EVERYTHING : OWN_TESTS],
      })),
    },
  },
});
