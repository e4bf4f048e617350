import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // The late joiner's property is in the suite with fewer stories.
    include: ['test/soak/**/*.soak.ts', 'test/daemon/terminal/screen.property.test.ts'],
    env: { PROPERTY_RUNS: '10000' },
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
