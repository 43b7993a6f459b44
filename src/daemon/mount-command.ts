import { type Command, Option } from 'commander';
import { CHECKSUM_MODES } from '../store/checksum-mode.ts';
import { EVICTION_NAMES } from '../store/eviction/create-policy.ts';
import { PASSTHROUGH_MODES } from './mount-config.ts';
import { LOG_LEVELS } from './pino-logger.ts';

/**
 * The options of `cachemesh mount`. Names and defaults are JuiceFS's where JuiceFS has the option.
 *
 * @param defaults - `cacheDir`: of `--cache-dir`; `log`: of `--log` in the background
 */
export function describeMount(
  command: Command,
  { cacheDir, log }: { cacheDir: string; log: string },
): Command {
  command
    .description('mount a volume and share its blocks with the cache group')
    .argument('<META-URL>', 'redis[s]://…, unix://…, sqlite3://PATH, as for juicefs mount')
    .argument('<MOUNTPOINT>', 'an empty directory; made when it is missing')
    .option('-d, --background', 'run in the background; returns once the volume is mounted')
    .option('--log <FILE>', `append the log to FILE (default: standard error, with -d ${log})`)
    .addOption(new Option('--log-level <LEVEL>').choices(LOG_LEVELS).default('info'))
    .option('--metrics <ADDRESS>', 'where Prometheus metrics are served; "none"', '127.0.0.1:9567')
    .option('--heartbeat <DURATION>', 'between two heartbeats of the session, at most 20', '12')
    .option('--read-only', 'let nothing change the volume: the default in this release')
    .option('--read-write', 'experimental: let programs change the volume')
    .option('--skip-dir-mtime <DURATION>', 'a directory gets no newer mtime so soon', '0.1');
  originOptions(command);
  cacheOptions(command, cacheDir);
  stagingOptions(command);
  groupOptions(command);
  return readingOptions(command);
}

function originOptions(command: Command): void {
  command
    .optionsGroup('Object store:')
    .option('--storage <NAME>', 'driver to use instead of the one in the setting: s3, minio, file')
    .option('--bucket <URL>', 'bucket to use instead of the one in the setting')
    .option('--max-downloads <N>', 'objects fetched at once', '200')
    .option('--get-timeout <DURATION>', 'for one object', '60')
    .option('--max-uploads <N>', 'objects stored at once', '20')
    .option('--put-timeout <DURATION>', 'for storing one object', '60')
    .option('--io-retries <N>', 'after a failed read, or block that was not stored', '10');
}

function cacheOptions(command: Command, cacheDir: string): void {
  command
    .optionsGroup('Local cache:')
    .option('--cache-dir <DIRS>', 'directories, separated by ":", or "memory"', cacheDir)
    .option('--cache-size <SIZE>', 'of all cache directories; a bare number is MiB', '102400')
    .option('--memory-cache-size <SIZE>', 'of the memory tier (default: 1024, at most RAM / 4)')
    .option('--buffer-size <SIZE>', 'for reads, read-ahead and writes under way', '300')
    .option('--free-space-ratio <RATIO>', 'of each cache disk, kept free', '0.1')
    .addOption(
      new Option('--cache-eviction <POLICY>').choices(EVICTION_NAMES).default(EVICTION_NAMES[0]),
    )
    .addOption(
      new Option('--verify-cache-checksum <MODE>')
        .choices(CHECKSUM_MODES)
        .default(CHECKSUM_MODES[0]),
    )
    .option('--cache-mode <MODE>', 'of cache files', '0600')
    .option('--prefetch <N>', 'whole blocks brought at once after small reads', '1');
}

function stagingOptions(command: Command): void {
  command
    .optionsGroup('Writing to the cache disk first:')
    .option('--writeback', 'a write is safe on the cache disk and uploaded in the background')
    .option('--writeback-threshold-size <SIZE>', 'only smaller blocks are staged (default: all)')
    .option('--max-stage-write <N>', 'blocks staged at once (default: 1000)')
    .option('--upload-delay <DURATION>', 'before a staged block is uploaded (default: 0)')
    .option('--upload-hours <A-B>', 'hours of the day in which staged blocks are uploaded');
}

function groupOptions(command: Command): void {
  command
    .optionsGroup('Cache group:')
    .option('--cache-group <NAME>', 'share blocks with the members of this group')
    .option('--group-weight <N>', 'share of the blocks that this node keeps', '100')
    .option('--peer-threads <N>', 'threads that serve peers; 0: the main thread does', '0')
    .option(
      '--zone <NAME>',
      'where this node stands, e.g. a rack: of several holders the near one is asked',
    )
    .option('--replicas <N>', 'nodes that keep each block; the same on all of the group', '1')
    .option('--fill-group-cache', 'give new blocks to the members that own them')
    .option('--no-sharing', 'use the group without keeping blocks for it')
    .option('--peers <MULTIADDRS>', 'fixed members, separated by ",", besides discovered ones')
    .option('--listen <ADDRESS>', 'where peers reach this node', '0.0.0.0:0')
    .option('--group-secret-file <FILE>', 'what members prove (default: a secret of the volume)')
    .option('--encrypt', 'encrypt blocks between members; all of the group must, or none')
    .option('--announce <ADDRESSES>', 'told to peers instead of the addresses of the interfaces');
}

function readingOptions(command: Command): Command {
  return command
    .optionsGroup('File system:')
    .addOption(
      new Option('--fuse-driver <DRIVER>')
        .choices(['auto', 'kernel', 'fuse-native'])
        .default('auto'),
    )
    .option('--fuse-workers <N>', 'threads that answer the kernel (default: by cores, 2 to 4)')
    .addOption(
      new Option(
        '--passthrough <MODE>',
        'let the kernel read cached files by itself (experimental)',
      )
        .choices(PASSTHROUGH_MODES)
        .default('off'),
    )
    .option('--allow-other', 'let other users in when not mounted by root')
    .option('--subdir <PATH>', 'mount a sub-directory of the volume')
    .option('--attr-cache <DURATION>', 'how long the kernel believes attributes', '1')
    .option('--entry-cache <DURATION>', 'how long the kernel believes names of files', '1')
    .option('--dir-entry-cache <DURATION>', 'how long it believes names of directories', '1')
    .option(
      '--negative-entry-cache <DURATION>',
      'how long it believes that a name is not there',
      '0',
    )
    .option('--readdir-cache', 'let the kernel keep listings')
    .option('--open-cache <DURATION>', 'open known files without asking the metadata', '0')
    .option('--open-cache-limit <N>', 'files remembered', '10000')
    .option('--max-readahead <SIZE>', 'per stream (default: 8 blocks)')
    .option('--file-readahead <SIZE>', 'small files before their opening (default: memory / 2)')
    .option('--hide-internal', 'keep .trash and the like out of the listing of the root')
    .option('--enable-xattr', 'extended attributes')
    .option('--enable-cap', 'security.capability, with --enable-xattr')
    .option('--enable-selinux', 'security.selinux, with --enable-xattr');
}
