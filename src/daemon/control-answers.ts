import type { BlockServer } from '../mesh/block-server.ts';
import type { Drain } from '../mesh/warm/drain.ts';
import type { MemberReport } from '../peer/member-report.ts';
import { toIno } from '../posix/ino.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { Vfs } from '../vfs/vfs.ts';
import type { ControlHandler, ControlQuestion } from './control-socket.ts';
import type { DaemonContext } from './daemon-context.ts';
import { DrainEndpoint } from './drain-endpoint.ts';
import { reportFile } from './file-report.ts';
import type { CacheGroup } from './group.ts';
import { groupStatus } from './group-report.ts';
import type { MountConfig } from './mount-config.ts';
import { UsageError } from './quantities.ts';
import type { StagedLine, Staging } from './staging.ts';
import { WarmupEndpoint } from './warmup-endpoint.ts';

/** A question of the command line is answered within this, before the asker gives up (30 s). */
const ANSWER_TIMEOUT_MS = 25_000;

/** What the command line may ask a daemon about. */
export interface ControlParts {
  readonly vfs: Vfs;
  readonly server: BlockServer;
  /** Undefined without a cache directory. */
  readonly staging: Staging | undefined;
  /** Undefined outside a cache group, as are the next ones. */
  readonly group: CacheGroup | undefined;
  readonly drain: Drain | undefined;
  readonly report: (() => Promise<MemberReport>) | undefined;
}

/** Answers the questions of the command line: `/warmup`, `/drain`, `/group`, `/staged` and `/info`. */
export function controlAnswers(
  parts: ControlParts,
  config: MountConfig,
  context: DaemonContext,
): ControlHandler {
  const { clock } = context;
  const warmups = new WarmupEndpoint(parts.vfs.jobs, clock);
  const drains = new DrainEndpoint(parts, config.group);
  return async (question: ControlQuestion) => {
    switch (question.url.pathname) {
      case '/warmup':
        return warmups.answer(question);
      case '/drain':
        return drains.answer(question);
      case '/group':
        return groupAnswer(parts, config, context);
      case '/staged':
        return stagedAnswer(question, parts);
      case '/info':
        return infoAnswer(question, parts, context);
      default:
        return undefined;
    }
  };
}

async function groupAnswer(parts: ControlParts, config: MountConfig, { clock }: DaemonContext) {
  const { group, report } = parts;
  const { name } = config.group;
  if (group === undefined || report === undefined || name === undefined) {
    throw new UsageError('this mount is in no cache group');
  }
  const wait = { what: 'report of the group', timeoutMs: ANSWER_TIMEOUT_MS };
  return await withDeadline(clock, wait, (signal) =>
    groupStatus({ name, group, own: report, clock }, signal),
  );
}

/** With `?hurry` what waits is uploaded as soon as possible, and nothing more is staged. */
function stagedAnswer({ url }: ControlQuestion, { staging }: ControlParts): StagedLine {
  if (staging === undefined) return { blocks: 0, bytes: 0, aside: 0 };
  const { stage, uploader } = staging;
  if (url.searchParams.has('hurry')) {
    const { blocks } = stage.usage();
    if (uploader === undefined && blocks > 0) {
      throw new UsageError(`${blocks} blocks are staged, and this mount is read-only`);
    }
    uploader?.hurry();
  }
  const { blocks, bytes } = stage.usage();
  return { blocks: blocks + stage.writing, bytes, aside: stage.aside };
}

async function infoAnswer({ url }: ControlQuestion, parts: ControlParts, context: DaemonContext) {
  const ino = url.searchParams.get('ino');
  if (ino === null || !/^\d{1,20}$/.test(ino)) return undefined;
  const { vfs, server, group } = parts;
  const { clock, logger } = context;
  const wait = { what: `report of inode ${ino}`, timeoutMs: ANSWER_TIMEOUT_MS };
  return await withDeadline(clock, wait, async (signal) => {
    const node = await vfs.info(toIno(BigInt(ino)), signal);
    return await reportFile(node, { local: server, group, logger }, signal);
  });
}
