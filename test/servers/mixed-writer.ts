import { fileURLToPath } from 'node:url';

/** The program of one of several writers. @see mixed-writer.py */
export const MIXED_WRITER = fileURLToPath(new URL('mixed-writer.py', import.meta.url));
