import type { DiskIo } from '../disk-io.ts';

/** Has a disk keep the names in a folder: those who come while it is at it share the next time. */
export class FolderSync {
  readonly #io: DiskIo;
  readonly #running = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Promise<void>>();

  constructor(io: DiskIo) {
    this.#io = io;
  }

  /** Resolves when every name that the folder had before this call is kept. @throws the system's error */
  sync(folder: string): Promise<void> {
    const running = this.#running.get(folder);
    if (running === undefined) return this.#start(folder);
    const known = this.#next.get(folder);
    if (known !== undefined) return known;
    const start = () => {
      this.#next.delete(folder);
      return this.#start(folder);
    };
    const next = running.then(start, start);
    this.#next.set(folder, next);
    return next;
  }

  #start(folder: string): Promise<void> {
    const syncing = this.#sync(folder).finally(() => this.#running.delete(folder));
    this.#running.set(folder, syncing);
    return syncing;
  }

  async #sync(folder: string): Promise<void> {
    const fd = await this.#io.openFile(folder, { flags: 'r' });
    try {
      await this.#io.sync(fd);
    } finally {
      await this.#io.close(fd);
    }
  }
}
