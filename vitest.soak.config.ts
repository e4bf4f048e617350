import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/soak/**/*.soak.ts'],
    globalSetup: ['test/support/global.ts'],
    // A hundred daemons are started in one of these.
    testTimeout: 300_000,
    hookTimeout: 60_000,
    // Each has the machine to itself: what is measured and killed at random is not to wait for another.
    fileParallelism: false,
    // The counts are what a person runs this for.
    disableConsoleIntercept: true,
  },
});
