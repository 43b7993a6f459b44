import { parentPort, workerData } from 'node:worker_threads';
import { SqliteDatabase } from './sqlite-database.ts';
import { toFailure } from './sqlite-errors.ts';
import { inodeOps, volumeOps } from './sqlite-inodes.ts';
import { nameOps } from './sqlite-names.ts';
import type { SqliteOps, SqliteReply, SqliteRequest, SqliteWorkerData } from './sqlite-protocol.ts';
import { scanOps } from './sqlite-scan-ops.ts';
import { sessionOps } from './sqlite-session-rows.ts';
import { wholeOps } from './sqlite-whole-ops.ts';
import { writingOps } from './sqlite-write-ops.ts';

// The thread in which SQLite blocks: answers one request after the other.

const data = workerData as SqliteWorkerData;
const port = parentPort;
let opened: { database: SqliteDatabase; ops: SqliteOps } | undefined;

/** Opened by the first request, so that a failure is the failure of a request. */
function ops(): SqliteOps {
  if (opened === undefined) {
    const database = new SqliteDatabase(data.path, data.tablePrefix);
    opened = {
      database,
      ops: {
        ...nameOps(database),
        ...inodeOps(database),
        ...volumeOps(database),
        ...sessionOps(database),
        ...scanOps(database),
        ...wholeOps(database),
        ...writingOps(database),
      },
    };
  }
  return opened.ops;
}

async function answer(request: Exclude<SqliteRequest, { close: true }>): Promise<SqliteReply> {
  const { id, op, args } = request;
  try {
    const run = ops()[op] as (...values: readonly unknown[]) => unknown;
    return { id, value: await run(...args) };
  } catch (error) {
    return { id, error: toFailure(error) };
  }
}

async function handle(request: SqliteRequest): Promise<void> {
  if ('close' in request) {
    opened?.database.close();
    port?.close();
    return;
  }
  port?.postMessage(await answer(request));
}

// A transaction waits between its steps: nothing else may come in between.
let line: Promise<void> = Promise.resolve();
port?.on('message', (request: SqliteRequest) => {
  line = line.then(() => handle(request));
});
