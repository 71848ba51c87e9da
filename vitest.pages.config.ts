import { defineConfig } from 'vitest/config';

/** The tests of pages in headless Chromium: `npm run test:pages`. */
export default defineConfig({
  test: {
    include: ['test/pages/**/*.test.ts'],
    // Ends what hangs, however slow the machine: the slowest test takes a minute on a busy one.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 120_000 } },
    reporters: ['verbose'],
  },
});
