import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { buildSync } from 'esbuild';
import type { Plugin } from 'vite';
import { configDefaults, defineConfig } from 'vitest/config';
import type { BrowserProviderOption } from 'vitest/node';
import { firefox } from './test/browser/firefox.ts';
import { FILES, FOLDERS, TESTS } from './test/browser/left-out.ts';
import { visitPlainPage } from './test/browser/visit.ts';

const { SEED } = process.env;
const ROOT = fileURLToPath(new URL('.', import.meta.url));
const BUILT = `${ROOT}node_modules/.cache/browser/sabheap.js`;
const NODE = `${ROOT}test/browser/node.ts`;
const EVERYTHING = `test/{${FOLDERS.join()}}/**/*.test.ts`;
const OWN_TESTS = 'test/browser/**/*.test.ts';

/**
 * The suites in a page: `npm run test:browser`. In Chromium all that need no Node, in Firefox the tests of
 * browsers alone. Every file and test that is left out is told with its reason.
 */
const chromiumPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const firefoxPath = process.env.FIREFOX ?? '/usr/bin/firefox-esr';
if (!existsSync(chromiumPath)) {
  throw new Error(`no Chromium at ${chromiumPath}: install it, or say where it is by CHROMIUM=/path/to/it`);
}
if (!existsSync(firefoxPath)) {
  console.log(`Left out: ${OWN_TESTS} in Firefox: none at ${firefoxPath}, and no FIREFOX=/path/to/it`);
}

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

const chromium = playwright({
  // Root, as in a container, gets no sandbox.
  launchOptions: { executablePath: chromiumPath, args: ['--no-sandbox'] },
});

/** Tests in the pages of one browser. */
const project = (name: string, provider: BrowserProviderOption, include: string) => ({
  extends: true as const,
  test: {
    name,
    include: [include],
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      // A busy machine starts it late.
      connectTimeout: 600_000,
      provider,
      commands: { visitPlainPage },
      instances: [{ browser: name as 'chromium', name: `${name} page` }],
    },
  },
});

export default defineConfig({
  plugins: [sourcesOrBuilt],
  resolve: {
    alias: [{ find: /^node:(child_process|util|v8|worker_threads|zlib)$/, replacement: NODE }],
  },
  // Named here, since finding one while the suites run would reload their pages.
  optimizeDeps: { include: ['buffer/', 'fast-check', 'node-inspect-extracted'], noDiscovery: true },
  define: { 'process.env': JSON.stringify(SEED === undefined ? {} : { SEED }) },
  server: {
    headers: {
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
    },
  },
  test: {
    exclude: [...configDefaults.exclude, ...Object.keys(FILES).map((file) => `test/${file}`)],
    setupFiles: ['test/setup.ts', 'test/browser/setup.ts'],
    // Ends what hangs, however slow the machine: the slowest test takes a minute on a busy one.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    maxWorkers: 2,
    projects: [
      project('chromium', chromium, EVERYTHING),
      ...(existsSync(firefoxPath) ? [project('firefox', firefox(firefoxPath), OWN_TESTS)] : []),
    ],
  },
});
