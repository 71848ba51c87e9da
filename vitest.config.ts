import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    // Tests run the sources; the package's own `imports` would lead to the built file.
    alias: { '#platform': fileURLToPath(new URL('src/platform/node.ts', import.meta.url)) },
  },
  test: {
    include: ['test/**/*.test.ts'],
    // They have configs of their own: vitest.{package,browser,pages}.config.ts.
    exclude: ['test/package/**', 'test/browser/**', 'test/pages/**'],
    // A process for each file: exit hooks, thread ids and a crash stay in the file that caused them.
    pool: 'forks',
    // The thread tests bring four workers each: two files at a time keep a small machine busy.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text-summary', 'html'],
    },
  },
});
