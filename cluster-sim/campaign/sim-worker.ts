import { parentPort } from 'node:worker_threads';
import { type Job, runJob } from './job.ts';

// Errors are made by the hundred thousand, and nobody looks at where.
Error.stackTraceLimit = 0;

parentPort?.on('message', (job: Job) => {
  void runJob(job).then((result) => parentPort?.postMessage(result));
});
