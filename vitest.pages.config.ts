import { defineConfig } from 'vitest/config';

/** The tests of pages in headless Chromium: `npm run test:pages`. */
export default defineConfig({
  test: {
    include: ['test/pages/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['verbose'],
  },
});
