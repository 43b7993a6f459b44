import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runId, RUN_ID_VARIABLE } from '../servers/temp.ts';

/** Who does something in a table: user, group, and the groups beside it. */
export const USERS = {
  root: { uid: 0, gid: 0, groups: [0] },
  alice: { uid: 1101, gid: 1101, groups: [1101] },
  bob: { uid: 1102, gid: 1102, groups: [1102] },
  /** A member of alice's group and of 2000, in which nobody else is. */
  carol: { uid: 1103, gid: 1103, groups: [1103, 1101, 2000] },
} as const;

/** One of {@link USERS}. */
export type User = keyof typeof USERS;

const PROGRAM = fileURLToPath(new URL('agent.ts', import.meta.url));
/** A call that takes longer hangs. */
const CALL_TIMEOUT_MS = 30_000;

/** A process per user that does system calls. */
export class Agents {
  readonly #agents: ReadonlyMap<User, Agent>;

  private constructor(agents: ReadonlyMap<User, Agent>) {
    this.#agents = agents;
  }

  /** @param folder - where they start; they need not be able to reach it by its path */
  static start(folder: string): Agents {
    const users = Object.keys(USERS) as User[];
    return new Agents(new Map(users.map((user) => [user, new Agent(user, folder)])));
  }

  /** @returns what came of an operation: an errno's name, what it gave, or `ok` */
  run(user: User, words: readonly string[]): Promise<string> {
    return (this.#agents.get(user) as Agent).run(words);
  }

  /** Lets every user begin a case in a folder. */
  async begin(folder: string): Promise<void> {
    const begun = [...this.#agents.values()].map((agent) => agent.run(['begin', folder]));
    for (const outcome of await Promise.all(begun)) {
      if (outcome !== 'ok') throw new Error(`begin: ${outcome}`);
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.stop()));
  }
}

class Agent {
  readonly #child: ChildProcess;
  readonly #waiting: ((answer: string) => void)[] = [];
  readonly #end: Promise<unknown>;

  constructor(user: User, folder: string) {
    const { uid, gid, groups } = USERS[user];
    this.#child = spawn(process.execPath, [PROGRAM, String(uid), String(gid), groups.join()], {
      stdio: ['pipe', 'pipe', 'inherit'],
      cwd: folder,
      env: { ...process.env, [RUN_ID_VARIABLE]: runId() },
    });
    this.#end = once(this.#child, 'exit').then(() => {
      for (const settle of this.#waiting.splice(0)) settle('the agent has ended');
    });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('an agent without output');
    createInterface({ input: stdout }).on('line', (line) => {
      this.#waiting.shift()?.(JSON.parse(line) as string);
    });
  }

  run(words: readonly string[]): Promise<string> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve('no answer'), CALL_TIMEOUT_MS);
      this.#waiting.push((answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.#child.stdin?.write(`${JSON.stringify(words)}\n`);
    });
  }

  async stop(): Promise<void> {
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), CALL_TIMEOUT_MS);
    await this.#end;
    clearTimeout(timer);
  }
}
