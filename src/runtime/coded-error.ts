/**
 * A failure that a caller can tell apart by its `code`.
 *
 * Layers define subclasses with a string union of codes (`StoreError`, `MetaError`, …). Absence is
 * never an error (it is `undefined`), and a broken promise of our own code is an `AssertionError`.
 */
export class CodedError<Code extends string = string> extends Error {
  /** What went wrong, stable across releases. */
  readonly code: Code;
  /** Whether the same call may succeed when it is simply made again. */
  readonly retryable: boolean;

  /**
   * @param code - what went wrong, stable across releases
   * @param message - a sentence that names the thing that failed
   * @param options - `retryable` (default false) and the `cause`
   */
  constructor(code: Code, message: string, options: { retryable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}
