import { randomBytes } from 'node:crypto';
import { defineConfig } from 'vitest/config';

// Test files start servers and name their temp folders by it; `npm test` sets it to look for what
// is left behind.
process.env['CACHEMESH_TEST_RUN'] ??= randomBytes(4).toString('hex');

const SPECIAL_FOLDERS = ['contract', 'integration', 'fuzz', 'tooling'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          globalSetup: ['test/servers/run-setup.ts'],
          include: ['test/**/*.test.ts'],
          exclude: [...SPECIAL_FOLDERS.map((name) => `test/${name}/**`), 'test/fixtures/**'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'contract',
          globalSetup: ['test/servers/run-setup.ts'],
          include: ['test/contract/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'fuzz',
          globalSetup: ['test/servers/run-setup.ts'],
          include: ['test/fuzz/**/*.test.ts'],
          testTimeout: 120_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'integration',
          globalSetup: ['test/servers/run-setup.ts'],
          include: ['test/integration/**/*.test.ts', 'test/tooling/**/*.test.ts'],
          // One file after the other: mounts, ports and the one object gateway are shared.
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
