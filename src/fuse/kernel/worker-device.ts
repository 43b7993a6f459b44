/** Largest READ that is ever asked for. */
export const REQUEST_BYTES_MAX = 1024 * 1024;
/** Largest WRITE that the kernel may send: it decides about the size of the read buffer. */
export const WRITE_BYTES_MAX = 1024 * 1024;
/** The kernel refuses to read into less than the header, a WRITE's fields and its data. */
export const FRAME_BYTES = WRITE_BYTES_MAX + 4096;

/** The device as one worker thread uses it: one request at a time, nothing is allocated for it. */
export interface WorkerDevice {
  /** The request that {@link receive} has read. */
  readonly frame: Uint8Array;
  /** The same as 32-bit words. */
  readonly words: Uint32Array;
  /** Waits for a request. @returns its length in bytes, or a negative errno */
  receive(): number;
  /** Answers the request without a payload. @returns 0 or a positive errno */
  sendStatus(errno: number): number;
  /** Begins a payload. */
  begin(): void;
  /** Adds bytes of shared memory. @param location - as a lease names it, plus the offset */
  addMemory(location: number, length: number): void;
  /** Adds bytes of a file. @returns false when the file has fewer */
  addFile(fd: number, offset: number, length: number): boolean;
  /** Answers the request with the payload. @returns 0 or a positive errno */
  send(): number;
  /**
   * Answers the request with a range of a file without copying it, if that is possible and worth it.
   *
   * @returns 0, a positive errno of the reply, or −1 when nothing was sent
   */
  sendFile(fd: number, offset: number, length: number): number;
  /** Closes what the device has opened by itself. */
  close(): void;
}
