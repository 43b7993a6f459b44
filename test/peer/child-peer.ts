import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { NodeId } from '../../src/block/node-id.ts';

/** What a peer in a process of its own does. */
export interface ChildSettings {
  readonly identityPath: string;
  /** Addresses of nodes to join. */
  readonly peers: readonly string[];
  readonly pieceBytes: number;
  readonly pieceDelayMs: number;
}

/** A peer in a process of its own. */
export interface ChildPeer {
  readonly nodeId: NodeId;
  readonly addresses: readonly string[];
  /** Sends a signal. */
  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
  /** Kills it if it still runs, and waits for its end. */
  end(): Promise<void>;
}

/** Starts a peer; resolves when it can be dialled. */
export async function startChildPeer(settings: ChildSettings): Promise<ChildPeer> {
  const program = fileURLToPath(new URL('./peer-child.ts', import.meta.url));
  const child = spawn(process.execPath, [program, JSON.stringify(settings)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const line = await firstLine(child);
  const { nodeId, addresses } = JSON.parse(line) as Pick<ChildPeer, 'nodeId' | 'addresses'>;
  return {
    nodeId,
    addresses,
    signal: (name) => void child.kill(name),
    end: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the peer has no output');
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error('the peer ended before it was there');
}
