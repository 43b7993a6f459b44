import type { FileVersion } from './file-version.ts';
import type { OpenFile } from './open-files.ts';
import { ReadSessions } from './read-sessions.ts';

/** One open(2) of a file. */
export class OpenHandle {
  /** What is read is always the file's present content, as far as we know it. */
  readonly file: OpenFile;
  /** The version whose id the handle carries. Workers know nothing else for this handle. */
  readonly opened: FileVersion;
  readonly sessions = new ReadSessions();
  closed = false;

  constructor(file: OpenFile) {
    this.file = file;
    this.opened = file.version;
  }

  /** The version to read from now. */
  get version(): FileVersion {
    return this.file.version;
  }
}
