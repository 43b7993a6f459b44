import type { FileVersion } from './file-version.ts';
import type { OpenFile } from './open-file.ts';
import type { ThroughHandle } from './passthrough.ts';
import { ReadSessions } from './read-sessions.ts';
import type { FileWriter } from './write/file-writer.ts';

/** How a handle writes. */
export interface HandleWriting {
  readonly writer: FileWriter;
  /** Opened with O_APPEND: what is written goes to the end of the file, unless fcntl(2) undid that. */
  readonly appends: boolean;
  /** Past the kernel's pages. Then the kernel sends no FSYNC after a write of O_SYNC or O_DSYNC. */
  readonly isDirect: boolean;
}

/** One open(2) of a file. */
export class OpenHandle {
  /** What is read is always the file's present content, as far as we know it. */
  readonly file: OpenFile;
  /** The version whose id the handle carries. Workers know nothing else for this handle. */
  readonly opened: FileVersion;
  readonly sessions = new ReadSessions();
  /** By which it writes; undefined when it was opened for reading. */
  readonly writing: HandleWriting | undefined;
  /** By which the kernel reads by itself; undefined when it asks us. */
  readonly through: ThroughHandle | undefined;
  closed = false;

  constructor(
    file: OpenFile,
    opened: FileVersion = file.version,
    how: { writing?: HandleWriting | undefined; through?: ThroughHandle | undefined } = {},
  ) {
    this.file = file;
    this.opened = opened;
    this.writing = how.writing;
    this.through = how.through;
  }

  /** The version to read from now. */
  get version(): FileVersion {
    return this.file.version;
  }
}
