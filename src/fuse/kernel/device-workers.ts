import { Worker } from 'node:worker_threads';
import { ClosedHandles } from './closed-handles.ts';
import { DeviceError } from './device-error.ts';
import type { DeviceWorkerData, DeviceWorkerMessage, TouchedMessage } from './worker-messages.ts';
import { workerUrl } from '../../runtime/worker-url.ts';

/** Who hears from the workers. */
export interface DeviceWorkersOptions {
  readonly count: number;
  readonly data: Omit<DeviceWorkerData, 'index' | 'closed'>;
  readonly onFrame: (frame: Uint8Array) => void;
  readonly onTouched: (message: TouchedMessage) => void;
  /** A worker ended other than by the end of the mount. Requests that it held have no answer. */
  readonly onDeath: (error: DeviceError) => void;
}

/** The threads that read the device. They end by themselves when the mount does. */
export class DeviceWorkers {
  readonly #options: DeviceWorkersOptions;
  /** Resolves when all threads have ended. */
  readonly ended: Promise<void>;
  /** Resolves when all threads read, or have ended. */
  readonly ready: Promise<void>;
  readonly #closed: readonly ClosedHandles[];

  constructor(options: DeviceWorkersOptions) {
    this.#options = options;
    this.#closed = Array.from({ length: options.count }, () => ClosedHandles.create());
    const threads = Array.from({ length: options.count }, (_, index) => this.#startOne(index));
    this.ready = Promise.all(threads.map(({ ready }) => ready)).then(() => undefined);
    this.ended = Promise.all(threads.map(({ ended }) => ended)).then(() => undefined);
  }

  #startOne(index: number): { ready: Promise<void>; ended: Promise<void> } {
    const { shared: closed } = this.#closed[index] as ClosedHandles;
    const workerData: DeviceWorkerData = { ...this.#options.data, index, closed };
    const worker = new Worker(workerUrl('device-worker', import.meta.url), { workerData });
    const ready = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    let isOrderly = false;
    worker.on('message', (message: DeviceWorkerMessage) => {
      // Before what came after them.
      this.takeClosed();
      if (message instanceof Uint8Array) this.#options.onFrame(message);
      else if (message === 'closed') return;
      else if (message === 'ready') ready.resolve();
      else if (message === 'unmounted') isOrderly = true;
      else this.#options.onTouched(message);
    });
    let cause: unknown;
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', (code) => {
      if (!isOrderly) this.#onDeath(index, code, cause);
      ready.resolve();
      ended.resolve();
    });
    return { ready: ready.promise, ended: ended.promise };
  }

  /** Hands over the requests to close handles that workers have answered. */
  takeClosed(): void {
    for (const closed of this.#closed) {
      for (let frame = closed.take(); frame !== undefined; frame = closed.take()) {
        this.#options.onFrame(frame);
      }
    }
  }

  #onDeath(index: number, code: number, cause: unknown): void {
    const message = `thread ${index} that serves the FUSE device has died (exit code ${code})`;
    this.#options.onDeath(new DeviceError('worker-died', message, { cause }));
  }
}
