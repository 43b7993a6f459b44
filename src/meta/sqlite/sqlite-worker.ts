import { parentPort, workerData } from 'node:worker_threads';
import { SqliteDatabase } from './sqlite-database.ts';
import { toFailure } from './sqlite-errors.ts';
import { inodeOps, volumeOps } from './sqlite-inodes.ts';
import { nameOps } from './sqlite-names.ts';
import type { SqliteOps, SqliteReply, SqliteRequest, SqliteWorkerData } from './sqlite-protocol.ts';
import { sessionOps } from './sqlite-session-rows.ts';

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
      },
    };
  }
  return opened.ops;
}

function answer(request: Exclude<SqliteRequest, { close: true }>): SqliteReply {
  const { id, op, args } = request;
  try {
    const run = ops()[op] as (...values: readonly unknown[]) => unknown;
    return { id, value: run(...args) };
  } catch (error) {
    return { id, error: toFailure(error) };
  }
}

port?.on('message', (request: SqliteRequest) => {
  if ('close' in request) {
    opened?.database.close();
    port.close();
    return;
  }
  port.postMessage(answer(request));
});
