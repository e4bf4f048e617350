import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/programs/**/*.test.ts'],
    globalSetup: ['test/support/global.ts'],
    // Programs of this size take seconds to draw their first screen on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Each test has the machine to itself: some of these programs want a core and half a GiB.
    fileParallelism: false,
  },
});
