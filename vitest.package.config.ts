import { defineConfig } from 'vitest/config';

/** The tests of the packed and installed library: `npm run package`. They take npm's registry and a minute. */
export default defineConfig({
  test: {
    include: ['test/package/**/*.test.ts'],
    // Ends what hangs, however slow the machine: the slowest test takes a minute on a busy one.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    reporters: ['verbose'],
  },
});
