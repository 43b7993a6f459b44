/** A file is cut into chunks of 64 MiB by offset. */
export const CHUNK_BYTES = 64 * 1024 * 1024;
/** Encoded size of one slice record. */
export const SLICE_RECORD_BYTES = 24;
/** Checksums cover units of this size, as JuiceFS's cache files have it. */
export const CHECKSUM_UNIT_BYTES = 32 * 1024;
/** Largest block that a volume can have. */
export const BLOCK_BYTES_MAX = 16 * 1024 * 1024;
