import assert from 'node:assert/strict';
import { Worker } from 'node:worker_threads';
import type {
  ShortcutDevice,
  ShortcutHost,
  ShortcutPlan,
} from '../../fuse/kernel/request-shortcut.ts';
import { workerUrl } from '../../runtime/worker-url.ts';
import type { DirectReads } from '../../meta/direct-reads.ts';
import { type Clock, machineMs, type Timer } from '../../runtime/clock.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Counter, Metrics } from '../../runtime/metrics.ts';
import { SlotRing } from '../../runtime/slot-ring.ts';
import type { Libc } from '../../runtime/system/libc.ts';
import { FileType } from '../../posix/attr.ts';
import type { Coherence } from '../coherent/coherence.ts';
import type { Files } from '../files.ts';
import type { OpenFile } from '../open-file.ts';
import type { OpenFiles } from '../open-files.ts';
import type { VfsOptions } from '../options.ts';
import type { ToldAttrs } from '../told-attrs.ts';
import { FileTable } from './file-table.ts';
import { Lines } from './lines.ts';
import { type Note, Notes } from './note.ts';
import { QuestionQueue } from './question-queue.ts';
import type { AnswererData, AnswererMessage, OpeningData, ShortcutData } from './shortcut-data.ts';
import { ShortcutStats } from './shortcut-stats.ts';
import { StatsPublisher } from './stats-publisher.ts';
import { Switchboard } from './switchboard.ts';

/** Handle numbers at hand for the answering thread. */
const HANDLES = 1024;
/** The same for each worker, and notes of it. */
const OWN_HANDLES = 1024;
const OWN_NOTES = 2048;
const HANDLE_SLOT_BYTES = 8;
const REFRESH_MS = 250;
const STOP_TIMEOUT_MS = 2000;

/** What a shortcut works with. */
export interface MetaShortcutOptions {
  readonly direct: DirectReads;
  readonly libc: Libc;
  readonly options: VfsOptions;
  /** Nothing has to be done when a descriptor is closed. */
  readonly isReadOnly: boolean;
  readonly openFiles: OpenFiles;
  readonly files: Files;
  readonly told: ToldAttrs;
  readonly coherence: Coherence;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * Look-ups, attributes and opens without the main thread: the worker that takes such a request sends
 * the question to the metadata server, and one more thread turns the server's reply into the answer.
 * (A hop to the main thread and back costs more than all the rest of a look-up.)
 *
 * What the main thread knows of files is shared by the {@link FileTable}: what does not agree with
 * it, and whatever is missing, late or odd, is answered by the main thread. The main thread learns
 * by {@link Notes} what was done, before it decides anything that depends on it.
 */
export class MetaShortcut implements ShortcutHost {
  readonly #options: MetaShortcutOptions;
  readonly #table = FileTable.create();
  readonly #notes = Notes.create();
  readonly #handles = SlotRing.create(HANDLE_SLOT_BYTES, HANDLES);
  readonly #stats = ShortcutStats.create();
  readonly #publisher: StatsPublisher;
  readonly #returned: Counter;
  #own: readonly OwnRings[] = [];
  #switchboard: Switchboard | undefined;
  #paused = false;
  #lines: Lines | undefined;
  #worker: Worker | undefined;
  #exited: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;

  constructor(options: MetaShortcutOptions) {
    this.#options = options;
    const { openFiles, files, metrics } = options;
    this.#publisher = new StatsPublisher(this.#stats, metrics);
    this.#returned = metrics.counter({
      name: 'meta_shortcut_returned',
      help: 'requests that the main thread answered after all',
    });
    openFiles.watch({
      known: (file) => this.#known(file),
      unknown: (ino) => {
        this.#table.remove(ino);
        // A worker may have opened it with what was known.
        if (this.#own.length > 0) this.catchUp();
      },
      asks: (ticket) => this.#switchboard?.setTicket(ticket),
    });
    files.onForeignHandle(() => this.catchUp());
  }

  #known({ ino, attr, version, decidedHere, isDoubted, checkedAtMs }: OpenFile): void {
    if (version.dirty || decidedHere === 'all') {
      this.#table.setUnsure(ino);
      return;
    }
    const { fileId, opened, believed } = version;
    const opensElsewhere = decidedHere === 'opens';
    const checkedMs = machineMs() - (this.#options.clock.nowMs() - checkedAtMs);
    const state = { fileId, opened, believed, opensElsewhere, doubted: isDoubted, checkedMs };
    this.#table.set(ino, { ...attr, ...state });
  }

  /** @see ShortcutHost.start */
  start(device: ShortcutDevice): ShortcutPlan {
    assert(this.#worker === undefined, 'a shortcut is started once');
    const switchboard = Switchboard.create(device.workers);
    switchboard.setTicket(this.#options.openFiles.ticket());
    this.#switchboard = switchboard;
    switchboard.pause(this.#paused);
    const lines = new Lines(device.workers, { ...this.#options, switchboard });
    this.#lines = lines;
    const data = this.#dataFor(switchboard, lines, device.fd);
    this.#fillHandles();
    this.#startWorker(data, device);
    this.#refresh();
    const { href } = workerUrl('asker', import.meta.url);
    return { url: href, data };
  }

  /** @see ShortcutHost.stop */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#switchboard?.stop();
    const { clock, logger } = this.#options;
    const wait = { what: 'the end of the answering thread', timeoutMs: STOP_TIMEOUT_MS };
    await withDeadline(clock, wait, () => this.#exited).catch((error: unknown) => {
      logger.error({ error }, 'the answering thread did not end');
    });
    this.#worker = undefined;
    this.#lines?.close();
    this.#publish();
  }

  #publish(): void {
    this.#publisher.publish();
    for (const { publisher } of this.#own) publisher.publish();
  }

  /** Lets all requests come to the main thread, for whoever watches them, or ends that. */
  pause(paused: boolean): void {
    this.#paused = paused;
    this.#switchboard?.pause(paused);
  }

  /** Takes note of everything that was answered so far. */
  catchUp(): void {
    this.#switchboard?.untilAnswered();
    this.#takeAll(this.#notes);
    for (const { notes, handles } of this.#own) {
      // A worker opens many files a second, and the main thread hears of them when they are closed.
      if (this.#takeAll(notes) > 0) this.#fill(handles);
    }
    this.#switchboard?.notesTaken();
  }

  /** @returns how many there were */
  #takeAll(notes: Notes): number {
    const { files, coherence } = this.#options;
    let count = 0;
    for (let note = notes.take(); note !== undefined; note = notes.take()) {
      count += 1;
      if (note.kind === 'told') this.#told(note);
      else if (note.kind === 'named') coherence.heldName(note.directory, note.name);
      else if (note.kind === 'opened') files.adopt(note);
      else files.abandon(note.handle);
    }
    return count;
  }

  #told({ ino, attr, isHeld }: Note & { kind: 'told' }): void {
    const { told, coherence } = this.#options;
    if (isHeld) coherence.heldAttr(ino);
    if (attr.type !== FileType.file) return;
    told.noteEarlier(ino, attr, isHeld ? coherence.keepMs : undefined);
  }

  #dataFor(switchboard: Switchboard, lines: Lines, deviceFd: number): ShortcutData {
    const { direct, options } = this.#options;
    const mayOpen = options.openCacheMs > 0;
    const own = lines.descriptors.map(() => createRings(this.#options.metrics));
    if (mayOpen) this.#own = own;
    return {
      switchboard: switchboard.shared,
      lines: lines.descriptors.map((fd, index) => {
        const { notes, handles, stats } = own[index] as OwnRings;
        const rings = { notes: notes.shared, handles: handles.shared, stats: stats.shared };
        return { fd, questions: QuestionQueue.create().shared, ...rings };
      }),
      opening: mayOpen ? this.#openingData(deviceFd) : undefined,
      keyPrefix: direct.keyPrefix,
      root: {
        low: Number(BigInt.asUintN(32, options.rootIno)),
        high: Number(BigInt.asUintN(32, options.rootIno >> 32n)),
      },
    };
  }

  #openingData(deviceFd: number): OpeningData {
    const { options, coherence, isReadOnly } = this.#options;
    return {
      deviceFd,
      files: this.#table.shared,
      marks: coherence.marks.shared,
      openMs: options.openCacheMs,
      directIo: options.directIo,
      noFlush: isReadOnly,
    };
  }

  #startWorker(data: ShortcutData, device: ShortcutDevice): void {
    const workerData = this.#answererData(data, device.fd);
    const worker = new Worker(workerUrl('reply-worker', import.meta.url), { workerData });
    this.#worker = worker;
    let cause: unknown;
    worker.on('message', (message: AnswererMessage) => this.#onMessage(message, device));
    worker.on('error', (error) => {
      cause = error;
    });
    const exited = Promise.withResolvers<void>();
    this.#exited = exited.promise;
    worker.on('exit', (code) => {
      exited.resolve();
      if (this.#switchboard?.isStopped === true) return;
      device.onDeath(new Error(`the thread that answers look-ups has died (${code})`, { cause }));
    });
  }

  #answererData(data: ShortcutData, deviceFd: number): AnswererData {
    const { options } = this.#options;
    return {
      ...data,
      deviceFd,
      files: this.#table.shared,
      notes: this.#notes.shared,
      handles: this.#handles.shared,
      stats: this.#stats.shared,
      marks: this.#options.coherence.marks.shared,
      timeouts: {
        attrMs: options.attrCacheMs,
        entryMs: options.entryCacheMs,
        dirEntryMs: options.dirEntryCacheMs,
        negativeEntryMs: options.negativeEntryCacheMs,
      },
      directIo: options.directIo,
      noFlush: this.#options.isReadOnly,
    };
  }

  #onMessage(message: AnswererMessage, device: ShortcutDevice): void {
    switch (message.type) {
      case 'ready':
        this.#lines?.start();
        break;
      case 'frame':
        this.#returned.add();
        device.takeBack(message.frame);
        break;
      case 'notes':
        this.catchUp();
        this.#fillHandles();
        break;
      case 'lost':
        this.#lines?.lost(message.line, message.reason, message.message);
        break;
    }
  }

  #refresh(): void {
    this.catchUp();
    this.#fillHandles();
    this.#publish();
    this.#timer = this.#options.clock.setTimer(REFRESH_MS, () => this.#refresh());
  }

  #fillHandles(): void {
    for (const { handles } of [{ handles: this.#handles }, ...this.#own]) this.#fill(handles);
  }

  #fill(handles: SlotRing): void {
    for (let at = handles.claim(); at !== -1; at = handles.claim()) {
      const handle = this.#options.files.reserve();
      if (handle === undefined) return;
      handles.view.setUint32(at, handle, true);
      handles.push();
    }
  }
}

/** What one worker and the main thread share. */
interface OwnRings {
  readonly notes: Notes;
  readonly handles: SlotRing;
  readonly stats: ShortcutStats;
  readonly publisher: StatsPublisher;
}

function createRings(metrics: Metrics): OwnRings {
  const stats = ShortcutStats.create();
  return {
    notes: Notes.create(OWN_NOTES),
    handles: SlotRing.create(HANDLE_SLOT_BYTES, OWN_HANDLES),
    stats,
    publisher: new StatsPublisher(stats, metrics, false),
  };
}
