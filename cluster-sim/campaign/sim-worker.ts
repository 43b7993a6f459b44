import { parentPort } from 'node:worker_threads';
import { SimStock } from '../world/sim-stock.ts';
import { type Job, runJob } from './job.ts';

// Errors are made by the hundred thousand, and nobody looks at where.
Error.stackTraceLimit = 0;

const stock = new SimStock();

parentPort?.on('message', (job: Job) => {
  void runJob(job, { stock }).then((result) => parentPort?.postMessage(result));
});
