import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { NodeId } from '../../src/block/node-id.ts';
import type { VersionRange } from '../../src/peer/protocol-version.ts';

/** What a member of a group in a process of its own does. It has all blocks of a synthetic volume. */
export interface MemberSettings {
  readonly identityPath: string;
  /** Of its control channel. */
  readonly port: number;
  readonly group: string;
  readonly volumeId: string;
  /** What `--group-secret-file` holds. */
  readonly secret: string;
  readonly blockBytes: number;
  readonly versions: VersionRange;
  readonly encrypted: boolean;
  /** Sends bytes that are not those which it has made the checksums of, as broken memory would. */
  readonly lies: boolean;
  /** Blocks that it reads from the others all the while, each as `[slice, index, bytes]`. */
  readonly reads: readonly (readonly [number, number, number])[];
}

/** What a member has done so far. */
export interface MemberReport {
  /** Requests for blocks that it has answered. */
  readonly served: number;
  /** Blocks that it has read from others, all of them compared. */
  readonly read: number;
  /** A line for each read that failed or gave wrong bytes; not more than 50. */
  readonly errors: readonly string[];
  /** Members that it sees, itself included. */
  readonly members: number;
}

/** A member in a process of its own. */
export interface MemberProcess {
  readonly nodeId: NodeId;
  /** For `--peers`. */
  readonly address: string;
  report(): Promise<MemberReport>;
  /** Leaves the group in the orderly way. @returns what it has done */
  stop(): Promise<MemberReport>;
}

const PROGRAM = fileURLToPath(new URL('./member-program.ts', import.meta.url));

/** Starts a member; resolves when it can be dialled. */
export async function startMember(settings: MemberSettings): Promise<MemberProcess> {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(settings)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error('the member has ended');
    return value;
  };
  const ask = async (word: string) => {
    child.stdin.write(`${word}\n`);
    return JSON.parse(await line()) as MemberReport;
  };
  const { nodeId, address } = JSON.parse(await line()) as MemberProcess;
  return {
    ...{ nodeId, address },
    report: () => ask('report'),
    stop: async () => {
      const ended = once(child, 'exit');
      const report = await ask('stop');
      await ended;
      return report;
    },
  };
}
