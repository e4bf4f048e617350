import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Those need more than Node and a compiler, or much time: `npm run test:programs`, `npm run test:soak`.
    exclude: ['test/programs/**', 'test/soak/**'],
    // Most of them wait for other processes most of the time.
    maxWorkers: 3,
    isolate: false,
    globalSetup: ['test/support/global.ts'],
    // A test that waits for a fact which never comes should say so before the whole run is given up.
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
