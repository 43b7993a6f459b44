import { Command } from 'commander';
import { CodedError } from '../runtime/coded-error.ts';
import { BACKGROUND_MARK, reportToParent, runInBackground } from './background.ts';
import { describeClone } from './clone-command.ts';
import { describeConfig } from './config-command.ts';
import { describeDestroy } from './destroy-command.ts';
import { describeDump } from './dump-command.ts';
import { describeFormat } from './format-command.ts';
import { describeFsck } from './fsck-command.ts';
import { describeGc } from './gc-command.ts';
import { printInfo } from './info-command.ts';
import { describeLoad } from './load-command.ts';
import { describeMount } from './mount-command.ts';
import { defaultCacheDir, defaultLog, type RawOptions, toMountConfig } from './mount-config.ts';
import { type DrainOptions, drain } from './drain-command.ts';
import { describeQuota } from './quota-command.ts';
import { describeRmr } from './rmr-command.ts';
import { printStatus } from './status-command.ts';
import { describeSummary } from './summary-command.ts';
import { printGroup, top, type TopOptions } from './top-command.ts';
import { umount } from './umount-command.ts';
import { VERSION } from './version.ts';
import { warmup, type WarmupOptions } from './warmup-command.ts';

/**
 * Runs one command line.
 *
 * @param argv - as `process.argv`
 * @returns the exit status: 0 done, 1 failed, 2 wrong use
 */
export async function runCli(argv: readonly string[]): Promise<number> {
  const program = buildProgram();
  try {
    await program.parseAsync([...argv]);
    return 0;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    reportToParent({ mounted: false, message });
    process.stderr.write(`cachemesh: ${message}\n`);
    if (isBug(error)) process.stderr.write(`${error.stack ?? ''}\n`);
    return error instanceof CodedError && error.code === 'usage' ? 2 : 1;
  }
}

/** Our own errors and the system's say what is wrong; of others one wants to see where they come from. */
function isBug(error: unknown): error is Error {
  return error instanceof Error && !(error instanceof CodedError) && !('syscall' in error);
}

function buildProgram(): Command {
  const program = new Command('cachemesh')
    .description('mounts JuiceFS volumes and shares cached blocks between nodes')
    .version(VERSION)
    .showHelpAfterError();
  const uid = process.getuid?.() ?? 0;
  const defaults = { cacheDir: defaultCacheDir(uid), log: defaultLog(uid) };
  const mount = describeMount(program.command('mount'), defaults);
  mount.action(async (metaUrl: string, mountpoint: string, raw: RawOptions) => {
    const given = {
      ...raw,
      noSharing: raw['sharing'] === false,
      cacheSizeGiven: mount.getOptionValueSource('cacheSize') === 'cli',
    };
    await mountCommand(metaUrl, mountpoint, given);
  });
  describeFormat(program.command('format'));
  describeConfig(program.command('config'));
  program
    .command('umount')
    .description('unmount a volume')
    .argument('<MOUNTPOINT>')
    .option('-f, --force', 'detach it even while files are open')
    .option('--flush', 'first wait until all that is staged (--writeback) is uploaded')
    .action(async (mountpoint: string, options: { force?: boolean; flush?: boolean }) => {
      const { force = false, flush = false } = options;
      await umount(mountpoint, { force, flush });
    });
  program
    .command('status')
    .description('show a volume and its sessions, or the members of the cache group of a mount')
    .argument('<META-URL|MOUNTPOINT>')
    .option('--json', 'as JSON')
    .action((target: string, given: { json?: boolean }) => {
      const options = { json: given.json === true };
      return target.includes('://') ? printStatus(target, options) : printGroup(target, options);
    });
  program
    .command('top')
    .description('watch the members of the cache group of a mount')
    .argument('<MOUNTPOINT>')
    .option('-i, --interval <DURATION>', 'between two looks', '2')
    .option('-n, --count <N>', 'looks (default: until Ctrl-C)')
    .option('--json', 'a line of JSON for each look')
    .action((target: string, options: TopOptions) => top(target, options));
  program
    .command('drain')
    .description('hand the blocks that a mount keeps over to their next owners, until it is empty')
    .argument('<MOUNTPOINT>')
    .option('--undo', 'keep blocks again')
    .option('-b, --background', 'return at once; the daemon goes on')
    .option('--json', 'a line a second as JSON')
    .action((target: string, options: DrainOptions) => drain(target, options));
  program
    .command('info')
    .description('show the inode, slices and objects of a file, their owner and who holds them')
    .argument('<PATH>', 'in a mounted volume')
    .option('--json', 'as JSON')
    .action((target: string, options: { json?: boolean }) =>
      printInfo(target, { json: options.json === true }),
    );
  describeVolumeTools(program);
  describeWarmup(program.command('warmup'));
  return program;
}

/** What is done to a volume, or asked of it, that needs no mount. */
function describeVolumeTools(program: Command): void {
  describeClone(program.command('clone'));
  describeSummary(program.command('summary'));
  describeRmr(program.command('rmr'));
  describeQuota(program.command('quota'));
  describeDump(program.command('dump'));
  describeLoad(program.command('load'));
  describeFsck(program.command('fsck'));
  describeGc(program.command('gc'));
  describeDestroy(program.command('destroy'));
}

function describeWarmup(command: Command): void {
  command
    .description('bring files and directories into the caches of the whole group')
    .argument('[PATH...]', 'in a mounted volume')
    .option('-f, --file <FILE>', 'a list of further paths, one a line')
    .option('-p, --parallel <N>', 'blocks that each node fetches at once', '50')
    .option('-b, --background', 'return at once; the daemon goes on (see --jobs)')
    .option('--pin', 'bring them to this node, and prepare big files for --passthrough at once')
    .option('--check', 'only tell what share is cached, by node and tier')
    .option('--evict', 'drop the blocks from the caches of all nodes')
    .option('--jobs', 'only tell about the jobs of the daemon, running and ended')
    .option('--cancel', 'end the jobs that the daemon runs')
    .option('--json', 'a line a second instead of a progress bar; its fields: docs/warmup.md')
    .action((paths: string[], options: WarmupOptions) => warmup(paths, options));
}

async function mountCommand(metaUrl: string, mountpoint: string, raw: RawOptions): Promise<void> {
  const config = toMountConfig(metaUrl, mountpoint, raw);
  if (config.background && process.env[BACKGROUND_MARK] === undefined) {
    const log = config.log ?? defaultLog(process.getuid?.() ?? 0);
    const pid = await runInBackground(log);
    process.stdout.write(`mounted at ${config.mountpoint} (pid ${pid}, log ${log})\n`);
    return;
  }
  // Loaded only here: the other commands need neither libp2p nor the object stores.
  const { runMount } = await import('./run-mount.ts');
  await runMount(config);
}
