import { defineConfig } from 'vitest/config';

const SPECIAL_FOLDERS = ['contract', 'integration', 'fuzz', 'tooling'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...SPECIAL_FOLDERS.map((name) => `test/${name}/**`), 'test/fixtures/**'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'fuzz',
          include: ['test/fuzz/**/*.test.ts'],
          testTimeout: 120_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/tooling/**/*.test.ts'],
          globalSetup: ['test/servers/stop-shared-servers.ts'],
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
