import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    // Tests run the sources; the package's own `imports` would lead to the built file.
    alias: { '#platform': fileURLToPath(new URL('src/platform/node.ts', import.meta.url)) },
  },
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/setup.ts'],
    // They have configs of their own: vitest.{package,browser,pages}.config.ts.
    exclude: ['test/package/**', 'test/browser/**', 'test/pages/**'],
    // A process for each file: exit hooks, thread ids and a crash stay in the file that caused them.
    pool: 'forks',
    // The thread tests bring four workers each: two files at a time keep a small machine busy.
    maxWorkers: 2,
    // Ends what hangs, however slow the machine: the slowest test takes a minute on a busy one.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text-summary', 'html'],
    },
  },
});
