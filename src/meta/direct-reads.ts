/**
 * An engine whose server threads can ask with bare system calls, without its client library.
 *
 * Only for what {@link MetaReader} would answer in the same way: whoever uses it must turn to the
 * engine whenever an answer is missing, late or odd.
 */
export interface DirectReads {
  /** First part of the names of the volume's keys. */
  readonly keyPrefix: string;
  /**
   * Opens a connection that is logged in and has the volume's database selected.
   *
   * @param duplicate - makes another descriptor for the connection, which is then the caller's to close
   * @returns the duplicate, a non-blocking stream socket
   * @throws MetaError `unavailable`, `refused`; the signal's reason when aborted
   */
  connect(duplicate: (fd: number) => number, signal: AbortSignal): Promise<number>;
}
