import { defineConfig } from 'vitest/config';

/** The tests of the packed and installed library: `npm run package`. They take npm's registry and a minute. */
export default defineConfig({
  test: {
    include: ['test/package/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['verbose'],
  },
});
