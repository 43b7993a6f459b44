/** What the threads of a shortcut are started with; all can be sent to another thread. */
export interface ShortcutData {
  readonly switchboard: SharedArrayBuffer;
  /** By worker thread. */
  readonly lines: readonly LineData[];
  /** Undefined: every open asks the server. */
  readonly opening: OpeningData | undefined;
  readonly keyPrefix: string;
  /** The volume's inode of the mounted root, as two words. */
  readonly root: { readonly low: number; readonly high: number };
}

/** What one worker thread has of its own. */
export interface LineData {
  /** Requests that wait for the server. */
  readonly questions: SharedArrayBuffer;
  /** The descriptor of its connection. */
  readonly fd: number;
  /** What it has done by itself. */
  readonly notes: SharedArrayBuffer;
  /** Numbers of handles that it may give out. */
  readonly handles: SharedArrayBuffer;
  readonly stats: SharedArrayBuffer;
}

/** By what workers open files that are known. */
export interface OpeningData {
  readonly deviceFd: number;
  readonly files: SharedArrayBuffer;
  readonly marks: SharedArrayBuffer;
  /** How long what is known of a file is used without asking. */
  readonly openMs: number;
  readonly directIo: boolean;
  readonly noFlush: boolean;
}

/** What the answering thread is started with beside. */
export interface AnswererData extends ShortcutData {
  readonly deviceFd: number;
  readonly files: SharedArrayBuffer;
  readonly notes: SharedArrayBuffer;
  /** Numbers of handles that may be given out. */
  readonly handles: SharedArrayBuffer;
  readonly stats: SharedArrayBuffer;
  /** What may be held longer than the time-outs say: {@link ChangeMarks}. */
  readonly marks: SharedArrayBuffer;
  readonly timeouts: AnswerTimeouts;
  readonly directIo: boolean;
  /** The kernel need not tell of descriptors that are closed. */
  readonly noFlush: boolean;
}

/** How long the kernel may believe what it is told. */
export interface AnswerTimeouts {
  readonly attrMs: number;
  readonly entryMs: number;
  readonly dirEntryMs: number;
  readonly negativeEntryMs: number;
}

/** Why a request went back to the main thread, or a connection was given up. */
export type LossReason = 'silent' | 'closed' | 'odd';

/** What the answering thread posts. */
export type AnswererMessage =
  | { readonly type: 'ready' }
  /** A request that the main thread has to answer. */
  | { readonly type: 'frame'; readonly frame: Uint8Array }
  /** Many notes wait. */
  | { readonly type: 'notes' }
  /** A connection is out of use. */
  | {
      readonly type: 'lost';
      readonly line: number;
      readonly reason: LossReason;
      readonly message: string;
    };
