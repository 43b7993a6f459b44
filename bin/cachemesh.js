#!/usr/bin/env node
// Starts the compiled daemon. Written for any Node from 14 on, because its first job is to
// notice that the running Node is too old for the daemon and to find one that is not.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MAJOR_MIN = 24;

if (Number(process.versions.node.split('.')[0]) >= MAJOR_MIN) {
  await startDaemon();
} else {
  restartWithNewerNode();
}

async function startDaemon() {
  const main = new URL('../dist/daemon/main.js', import.meta.url);
  if (!existsSync(main)) {
    console.error('cachemesh: dist/daemon/main.js is missing, run "npm run build" first');
    process.exit(1);
  }
  await import(main.href);
}

/** A checkout brings its own Node as a development dependency; an installed package does not. */
function restartWithNewerNode() {
  const candidates = ['../node_modules/node/bin/node', '../node_modules/.bin/node'];
  const node = candidates
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find(existsSync);
  // The marker stops a loop should the found binary be an old Node as well.
  if (node === undefined || process.env.CACHEMESH_RESTARTED === '1') {
    console.error(`cachemesh: needs Node ${MAJOR_MIN} or newer, this is ${process.versions.node}`);
    process.exit(1);
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, CACHEMESH_RESTARTED: '1' },
  });
  passSignalsOn(child);
  child.on('error', (error) => {
    console.error(`cachemesh: cannot start ${node}: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

function passSignalsOn(child) {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(name, () => {
      // A terminal sends Ctrl-C to the whole group: passing it on would count it twice.
      if (name === 'SIGINT' && process.stdin.isTTY) return;
      child.kill(name);
    });
  }
}
