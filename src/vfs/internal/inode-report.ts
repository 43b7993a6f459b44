import type { MetaReader } from '../../meta/engine.ts';
import type { VolumeSetting } from '../../meta/setting.ts';
import { type Attr, FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { CHUNK_BYTES } from '../../block/geometry.ts';
import { namingOf, objectKeyOf } from '../../block/object-key.ts';
import { type Piece, planRead, resolveSlices } from '../../block/read-plan.ts';
import type { RootMap } from '../root-map.ts';
import { pathsOf } from './node-paths.ts';
import { type Summary, summarize } from './tree-summary.ts';

/** One piece of a chunk, under JuiceFS's names. Id 0 is a hole. */
export interface ChunkEntry {
  readonly ChunkIndex: number;
  readonly Id: bigint;
  readonly Size: number;
  readonly Off: number;
  readonly Len: number;
}

/** What of an object a chunk uses, under JuiceFS's names. A hole has no key. */
export interface ObjectEntry {
  readonly ChunkIndex: number;
  readonly Key: string;
  readonly Size: number;
  readonly Off: number;
  readonly Len: number;
}

/** What `juicefs info` gets; field names are part of its protocol. */
export interface InodeReport {
  readonly Ino: bigint;
  readonly Failed: boolean;
  readonly Reason: string;
  readonly Summary: Summary;
  readonly Paths: readonly string[];
  readonly Chunks: readonly ChunkEntry[];
  readonly Objects: readonly ObjectEntry[];
  readonly PLocks: readonly never[];
  readonly FLocks: readonly never[];
  readonly Tier: { readonly ID: number; readonly StorageClass: string; readonly Tag: string };
  readonly RestoreStatus: string;
}

/** How a report is made. */
export interface ReportParts {
  readonly meta: MetaReader;
  readonly setting: VolumeSetting;
  readonly root: RootMap;
}

/** What a report is to show. */
export interface ReportRequest {
  /** As the mount shows it. */
  readonly ino: Ino;
  readonly recursive: boolean;
  /** Slices instead of objects. */
  readonly raw: boolean;
  /** Counted up while trees are summed up. */
  readonly summary: Summary;
}

/**
 * @throws FsError ENOENT; SliceRecordError for a chunk that contradicts itself; what the engine
 *   throws
 */
export async function inodeReport(
  parts: ReportParts,
  request: ReportRequest,
  signal: AbortSignal,
): Promise<InodeReport> {
  const { meta, root } = parts;
  const { recursive, raw, summary } = request;
  const ino = root.toVolume(request.ino);
  const attr = await meta.getattr(ino, signal);
  if (attr === undefined) throw new FsError('ENOENT', `no inode ${request.ino}`);
  await summarize(meta, { ino, attr, recursive, summary }, signal);
  const chunks = await chunksOf(meta, ino, attr, signal);
  return {
    Ino: request.ino,
    Failed: false,
    Reason: '',
    Summary: summary,
    Paths: await pathsOf(meta, root, { ino, attr }, signal),
    Chunks: raw ? chunks.flatMap(({ index, pieces }) => pieces.map(chunkEntry(index))) : [],
    Objects: raw ? [] : chunks.flatMap((chunk) => objectsOf(parts.setting, chunk)),
    PLocks: [],
    FLocks: [],
    Tier: { ID: attr.tier, StorageClass: '', Tag: '' },
    RestoreStatus: '',
  };
}

/** The same for older tools, as text. */
export function reportText(report: InodeReport): string {
  const { Ino: ino, Summary: summary, Paths: paths } = report;
  const lines = [
    `  inode: ${ino}`,
    `  files: ${summary.Files}`,
    `   dirs: ${summary.Dirs}`,
    ` length: ${bytesText(summary.Length)}`,
    `   size: ${bytesText(summary.Size)}`,
    ...(paths.length > 1
      ? ['  paths:', ...paths.map((path) => `\t${path}`)]
      : [`   path: ${paths[0] ?? 'unknown'}`]),
  ];
  if (summary.Files === 1n && summary.Dirs === 0n) {
    const raw = report.Chunks.length > 0;
    lines.push(raw ? ' chunks:' : 'objects:');
    const rows = raw
      ? report.Chunks.map((row) => [row.ChunkIndex, row.Id, row.Size, row.Off, row.Len])
      : report.Objects.map((row) => [row.ChunkIndex, row.Key, row.Size, row.Off, row.Len]);
    for (const [index, ...rest] of rows) lines.push(`\t${index}:\t${rest.join('\t')}`);
  }
  return `${lines.join('\n')}\n`;
}

interface Chunk {
  readonly index: number;
  readonly pieces: readonly Piece[];
}

async function chunksOf(
  meta: MetaReader,
  ino: Ino,
  attr: Attr,
  signal: AbortSignal,
): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  if (attr.type !== FileType.file) return chunks;
  for (let index = 0; BigInt(index) * BigInt(CHUNK_BYTES) < attr.length; index += 1) {
    const pieces = resolveSlices(await meta.readChunk(ino, index, signal));
    chunks.push({ index, pieces });
  }
  return chunks;
}

function chunkEntry(index: number): (piece: Piece) => ChunkEntry {
  return ({ sliceId, size, off, len }) => {
    return { ChunkIndex: index, Id: sliceId, Size: size, Off: off, Len: len };
  };
}

function objectsOf(setting: VolumeSetting, { index, pieces }: Chunk): ObjectEntry[] {
  const last = pieces.at(-1);
  const length = last === undefined ? 0 : last.pos + last.len;
  const naming = namingOf(setting);
  return planRead(pieces, { offset: 0, length }, setting.blockBytes).map((step) => {
    if (step.key === undefined) {
      return { ChunkIndex: index, Key: '', Size: step.at.length, Off: 0, Len: step.at.length };
    }
    const { key, inBlock } = step;
    const Key = objectKeyOf(naming, key);
    return {
      ChunkIndex: index,
      Key,
      Size: key.sizeBytes,
      Off: inBlock.offset,
      Len: inBlock.length,
    };
  });
}

const UNITS = ['K', 'M', 'G', 'T', 'P', 'E'];

function bytesText(bytes: bigint): string {
  if (bytes < 1024n) return `${bytes} Bytes`;
  let value = bytes;
  let unit = 0;
  while (unit < UNITS.length - 1 && value >= 1n << 20n) {
    value >>= 10n;
    unit += 1;
  }
  return `${(Number(value) / 1024).toFixed(2)} ${UNITS[unit]}iB (${bytes} Bytes)`;
}
