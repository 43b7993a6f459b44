import { fileURLToPath } from 'node:url';

/** Set by `npm test`, which has just compiled the sources. */
const COMPILED_VARIABLE = 'CACHEMESH_TEST_COMPILED';

/** What `npm run build` has made last. */
export const COMPILED_PROGRAM = fileURLToPath(
  new URL('../../dist/daemon/main.js', import.meta.url),
);

/**
 * The program that tests start: in a whole run what users run, which also starts in half the time;
 * in a run of single files the sources, which need no build.
 */
export const DAEMON_PROGRAM =
  process.env[COMPILED_VARIABLE] === '1'
    ? COMPILED_PROGRAM
    : fileURLToPath(new URL('../../src/daemon/main.ts', import.meta.url));
