import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// Test files start servers and name their temp folders by it; `npm test` sets it to look for what
// is left behind.
process.env['CACHEMESH_TEST_RUN'] ??= randomBytes(4).toString('hex');

const SPECIAL_FOLDERS = ['contract', 'integration', 'fuzz', 'posix', 'tooling', 'simulation'];

/**
 * Integration tests that prove bytes and not deadlines, and need no object gateway: they run beside the
 * unit tests and each other, which spares a run some minutes.
 */
const BESIDE_OTHERS = [
  'clone',
  'coherent-cache',
  'compaction',
  'config',
  'destroy',
  'disk-tier-crash',
  'disk-views',
  'dump',
  'fill-group-cache',
  'fixtures-through-mounts',
  'format',
  'fsck-gc',
  'fuse-backing',
  'fuse-extents',
  'fuse-native',
  'load',
  'meta-fixtures',
  'meta-redis-places',
  'meta-sqlite',
  'must-hold-crashed-cache',
  'must-hold-read-only',
  'must-hold-status',
  'must-hold-unmounting',
  'odd-members',
  'passthrough',
  'quota',
  'shortcut',
  'summary-rmr',
  'vfs-fixtures',
  'vfs-live',
  'virtual-files',
  'views',
  'writeback',
  'writing-calls',
  'writing-crash',
  'writing-interop',
  'writing-mixed',
  'writing-nodes',
  'writing-random',
].map((name) => `test/integration/${name}.test.ts`);

/** Files wait more than they work: on two cores, of which vitest would take one, two go side by side. */
const MAX_WORKERS = Math.max(2, availableParallelism() - 1);

/** A state that is polled for comes later on a machine that is busy with other things. */
const expectOptions = { poll: { timeout: 20_000 } };

export default defineConfig({
  test: {
    maxWorkers: MAX_WORKERS,
    projects: [
      {
        test: {
          name: 'unit',
          globalSetup: ['test/servers/run-setup.ts'],
          expect: expectOptions,
          include: ['test/**/*.test.ts'],
          exclude: [...SPECIAL_FOLDERS.map((name) => `test/${name}/**`), 'test/fixtures/**'],
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'contract',
          globalSetup: ['test/servers/run-setup.ts'],
          expect: expectOptions,
          include: ['test/contract/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 400_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'fuzz',
          globalSetup: ['test/servers/run-setup.ts'],
          expect: expectOptions,
          include: ['test/fuzz/**/*.test.ts'],
          testTimeout: 300_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'beside',
          globalSetup: ['test/servers/run-setup.ts'],
          expect: expectOptions,
          include: [...BESIDE_OTHERS, 'test/posix/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 400_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'simulation',
          globalSetup: ['test/servers/run-setup.ts'],
          include: ['test/simulation/**/*.test.ts'],
          // It starts threads of its own.
          fileParallelism: false,
          testTimeout: 300_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'integration',
          globalSetup: ['test/servers/run-setup.ts'],
          expect: expectOptions,
          include: ['test/integration/**/*.test.ts', 'test/tooling/**/*.test.ts'],
          exclude: BESIDE_OTHERS,
          // One file after the other: mounts, ports and the one object gateway are shared.
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 400_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
