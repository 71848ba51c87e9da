/** The tests as they are, on the built library: `npm run matrix` has each runtime run Vitest with this. */

import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import LineReporter from './reporter.ts';

const root = process.cwd();
const repository = fileURLToPath(new URL('../..', import.meta.url));
const sources = `${repository}src/`.replaceAll('\\', '/');
const built = `${repository}dist/src/`.replaceAll('\\', '/');

export default defineConfig({
  root,
  plugins: [
    {
      name: 'built',
      enforce: 'pre',
      /** Whatever leads to a source leads to the file that was built of it. */
      async resolveId(specifier, importer, options) {
        const found = await this.resolve(specifier, importer, { ...options, skipSelf: true });
        if (found === null || !found.id.startsWith(sources)) return null;
        return found.id.replace(sources, built).replace(/\.ts$/, '.js');
      },
    },
  ],
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: [`${repository}test/setup.ts`],
    pool: 'forks',
    maxWorkers: 2,
    // The runtime itself loads the built files, by the package's own `imports`.
    server: { deps: { external: [/\/dist\//] } },
    runner: fileURLToPath(new URL('runner.ts', import.meta.url)),
    reporters: [new LineReporter()],
    // On a machine that has other work to do; run.ts waits longer.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
