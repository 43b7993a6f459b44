import type { RequestHeader } from '../wire/request-header.ts';
import type { OpcodeName } from '../wire/opcodes.ts';
import type { FuseContext } from '../operations.ts';

/** The kernel has interrupted a request, or the mount ends. */
export class RequestAbortedError extends Error {
  override readonly name = 'AbortError';
  /** What the request is answered with when the operation gives up. */
  readonly errno: number;

  constructor(message: string, errno: number) {
    super(message);
    this.errno = errno;
  }
}

/** A request that the main thread works on. */
export class Call implements FuseContext {
  readonly unique: bigint;
  readonly method: OpcodeName;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly startedMs: number;
  /** Nothing may be sent for it any more. */
  isAnswered = false;
  #controller: AbortController | undefined;
  #reason: RequestAbortedError | undefined;

  constructor(header: RequestHeader, method: OpcodeName, startedMs: number) {
    this.unique = header.unique;
    this.method = method;
    this.uid = header.uid;
    this.gid = header.gid;
    this.pid = header.pid;
    this.startedMs = startedMs;
  }

  /** Made when first asked for: most operations never wait. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Why {@link abort} was called, if it was. */
  get abortReason(): RequestAbortedError | undefined {
    return this.#reason;
  }

  /** Aborts the signal; only the first call counts. */
  abort(reason: RequestAbortedError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}
