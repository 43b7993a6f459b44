import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { damageFiles } from '../../test/servers/damage.ts';
import { type DaemonOptions, startDaemon, type TestDaemon } from '../../test/servers/daemons.ts';
import { detach } from '../../test/servers/mounted.ts';
import { SmallDisk } from './small-disk.ts';

/** When a node's own daemon was not there, in milliseconds of `Date.now()`. */
interface Absence {
  readonly fromMs: number;
  untilMs: number;
}

/** How a node is started, each time. */
export interface ProcessNodeOptions {
  readonly daemon: DaemonOptions & { readonly name: string; readonly dir: string };
  readonly diskBytes: number;
}

const PEER_BYTES = 'juicefs_mesh_read_bytes_total';
/** After it is back, requests that came meanwhile still have to be answered. */
const RECOVERY_MS = 1_000;
/** The file system's own. */
const LOST_AND_FOUND = 'lost+found';

/** A daemon with its mount and its cache disk, which can be killed, stopped and frozen. */
export class ProcessNode {
  readonly name: string;
  readonly mountpoint: string;
  readonly #options: ProcessNodeOptions;
  readonly #absences: Absence[] = [];
  #disk: SmallDisk | undefined;
  #daemon: TestDaemon | undefined;

  constructor(options: ProcessNodeOptions) {
    this.#options = options;
    this.name = options.daemon.name;
    this.mountpoint = join(options.daemon.dir, 'mnt');
  }

  get isUp(): boolean {
    return this.#daemon !== undefined;
  }

  get disk(): SmallDisk | undefined {
    return this.#disk;
  }

  /** Whether its daemon was away or frozen at any time between. */
  wasAway(fromMs: number, untilMs: number): boolean {
    return this.#absences.some(
      (absence) => absence.fromMs <= untilMs && absence.untilMs + RECOVERY_MS >= fromMs,
    );
  }

  async start(): Promise<void> {
    const { daemon, diskBytes } = this.#options;
    this.#disk ??= await SmallDisk.make(join(daemon.dir, 'cache'), diskBytes);
    this.#daemon = await startDaemon(daemon);
  }

  /** Ends the daemon; in order with SIGTERM, at once with SIGKILL. @returns starts it again */
  async away(signal: 'SIGTERM' | 'SIGKILL', keepCache = true): Promise<() => Promise<void>> {
    const end = this.#beginAbsence();
    const daemon = this.#daemon;
    this.#daemon = undefined;
    await daemon?.process.stop(signal, 25_000);
    if (!keepCache) await this.#wipe();
    return async () => {
      await this.start();
      end();
    };
  }

  /** SIGSTOP. @returns lets it go on */
  freeze(): () => void {
    const pid = this.#daemon?.process.pid;
    if (pid === undefined) return () => undefined;
    const end = this.#beginAbsence();
    process.kill(pid, 'SIGSTOP');
    return () => {
      process.kill(pid, 'SIGCONT');
      end();
    };
  }

  /** Turns bits around in cache files, and does what else failing disks do to them. */
  async damage(files: number): Promise<void> {
    await damageFiles(this.#cacheDir, files, Math.random);
  }

  /** Bytes that its mount has read from peers since the daemon started; 0 without one. */
  async bytesFromPeers(): Promise<number> {
    return (await this.#daemon?.metric(PEER_BYTES, 'from="peer"')) ?? 0;
  }

  async remove(): Promise<void> {
    await this.#daemon?.stop();
    await detach(this.mountpoint);
    await this.#disk?.remove();
  }

  async #wipe(): Promise<void> {
    for (const name of await readdir(this.#cacheDir)) {
      if (name !== LOST_AND_FOUND) await rm(join(this.#cacheDir, name), { recursive: true });
    }
  }

  get #cacheDir(): string {
    return join(this.#options.daemon.dir, 'cache');
  }

  /** @returns ends it */
  #beginAbsence(): () => void {
    const absence: Absence = { fromMs: Date.now(), untilMs: Number.POSITIVE_INFINITY };
    this.#absences.push(absence);
    return () => {
      absence.untilMs = Date.now();
    };
  }
}
