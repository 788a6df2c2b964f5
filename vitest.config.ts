import { defineConfig } from 'vitest/config';

/** Whole runtimes, real CLIs, machines and browsers: each file has the machine for itself. */
const WHOLE = [
  'test/e2e/**/*.test.ts',
  'test/{docs,support}/**/*.system.test.ts',
  'test/main/*doc*.system.test.ts',
  'test/infra/{agents,host}/**/*.system.test.ts',
  'test/cli/tui/**/*.system.test.ts',
];

const SERVERS = {
  globalSetup: ['test/support/global-setup.ts'],
  testTimeout: 60_000,
  hookTimeout: 60_000,
  // A second, as it is by default, is less than a busy machine takes for a step through three servers.
  expect: { poll: { timeout: 30_000 } },
};

/**
 * `fast` needs neither Temporal nor Postgres nor a PTY: it is part of `npm run check`.
 * `system` uses real servers, each file a database of its own, and runs as many files at once as there are cores.
 * `whole` starts the whole runtime, and runs one file after the other: two cores are the smallest machine we support, and
 * a second file at once makes starts miss their time.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.system.test.ts', 'test/e2e/**', 'node_modules/**'],
          // Properties over whole recordings take seconds of CPU, and more where two cores have other work.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          ...SERVERS,
          name: 'system',
          include: ['test/**/*.system.test.ts'],
          exclude: WHOLE,
          sequence: { groupOrder: 1 },
          maxWorkers: 2,
        },
      },
      {
        test: { ...SERVERS, name: 'whole', include: WHOLE, fileParallelism: false },
      },
    ],
  },
});
