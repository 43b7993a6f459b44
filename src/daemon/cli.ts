import { Command } from 'commander';
import { CodedError } from '../runtime/coded-error.ts';
import { BACKGROUND_MARK, reportToParent, runInBackground } from './background.ts';
import { printInfo } from './info-command.ts';
import { describeMount } from './mount-command.ts';
import { defaultCacheDir, type RawOptions, toMountConfig } from './mount-config.ts';
import { printStatus } from './status-command.ts';
import { umount } from './umount-command.ts';
import { VERSION } from './version.ts';

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
  const mount = describeMount(program.command('mount'), defaultCacheDir(process.getuid?.() ?? 0));
  mount.action(async (metaUrl: string, mountpoint: string, raw: RawOptions) => {
    const given = {
      ...raw,
      noSharing: raw['sharing'] === false,
      cacheSizeGiven: mount.getOptionValueSource('cacheSize') === 'cli',
    };
    await mountCommand(metaUrl, mountpoint, given);
  });
  program
    .command('umount')
    .description('unmount a volume')
    .argument('<MOUNTPOINT>')
    .option('-f, --force', 'detach it even while files are open')
    .action(async (mountpoint: string, options: { force?: boolean }) => {
      await umount(mountpoint, { force: options.force === true });
    });
  program
    .command('status')
    .description('show a volume, its sessions and the members of its cache groups')
    .argument('<META-URL>')
    .option('--json', 'as JSON')
    .action((metaUrl: string, options: { json?: boolean }) =>
      printStatus(metaUrl, { json: options.json === true }),
    );
  program
    .command('info')
    .description('show the inode, slices and objects of a file, their owner and who holds them')
    .argument('<PATH>', 'in a mounted volume')
    .option('--json', 'as JSON')
    .action((target: string, options: { json?: boolean }) =>
      printInfo(target, { json: options.json === true }),
    );
  return program;
}

async function mountCommand(metaUrl: string, mountpoint: string, raw: RawOptions): Promise<void> {
  const config = toMountConfig(metaUrl, mountpoint, raw);
  if (config.background && process.env[BACKGROUND_MARK] === undefined) {
    const log = config.log ?? '/var/log/cachemesh.log';
    const pid = await runInBackground(log);
    process.stdout.write(`mounted at ${config.mountpoint} (pid ${pid}, log ${log})\n`);
    return;
  }
  // Loaded only here: the other commands need neither libp2p nor the object stores.
  const { runMount } = await import('./run-mount.ts');
  await runMount(config);
}
