import { describe, expect, it } from 'vitest';
import { runCampaign } from '../../cluster-sim/campaign/campaign.ts';
import { replay } from '../../cluster-sim/campaign/replay.ts';
import { parseOptions } from '../../cluster-sim/options.ts';
import { completeScenario, type Scenario } from '../../cluster-sim/scenario/scenario.ts';
import { shrinkScenario } from '../../cluster-sim/scenario/shrink.ts';
import { swarmScenario } from '../../cluster-sim/scenario/swarm.ts';

/** Enough to see that it shrinks. */
const TRIES_MAX = 8;

/** What a campaign says of the first seed in which this planted bug is found. */
async function failureOf(canary: string): Promise<string> {
  const said: string[] = [];
  function* jobs() {
    for (let seed = 1; said.length === 0; seed += 1) yield { scenario: 'swarm', seed, canary };
  }
  await runCampaign(jobs(), 1, (text) => said.push(text));
  return said[0] as string;
}

/** Runs the command that a failure names, as `npm run sim` does. */
async function follow(failure: string) {
  const command = failure.split('\n').at(-1)?.trim() ?? '';
  expect(command).toMatch(/^npm run sim -- --replay /);
  const options = parseOptions(command.split(' ').slice(4));
  if (options === 'help') throw new Error('no command');
  const { replay: scenario = '', seed = -1, canary } = options;
  const said: string[] = [];
  const how = { isTraced: false, triesMax: TRIES_MAX };
  const result = await replay({ scenario, seed, canary }, how, (text) => said.push(text));
  return { seed, result, smallest: JSON.parse(said.at(-1) as string) as Scenario, said };
}

const sizeOf = ({ faults, nodes, load, volume }: Scenario) =>
  faults.length + nodes + load.readersPerNode + load.reads + volume.blocks;

describe('a failure names a command', () => {
  it.each(['leaked-pin', 'real-chance'])(
    'that fails likewise and finds a smaller scenario: %s',
    async (canary) => {
      const failure = await failureOf(canary);
      const { seed, result, smallest, said } = await follow(failure);
      const [first] = result.violations;
      expect(failure).toContain(`${first?.check}: `);
      expect(said.join('\n')).toContain(`VIOLATION ${first?.check}`);
      expect(sizeOf(smallest)).toBeLessThan(sizeOf(swarmScenario(seed)));
    },
  );
});

describe('the smallest scenario', () => {
  it('has nothing that the failure does not need', async () => {
    const crash = { kind: 'crash', node: 0, power: false, keepCache: true } as const;
    const scenario = completeScenario({
      name: 'large',
      about: '',
      nodes: 5,
      load: { readersPerNode: 3, reads: 20, readAhead: true, warm: true },
      faults: [
        { kind: 'pause', node: 1, atMs: 100, forMs: 800 },
        { ...crash, atMs: 300, forMs: 800 },
        { kind: 'metadata', atMs: 500, forMs: 800 },
      ],
    });
    const fails = ({ faults, nodes }: Scenario) =>
      Promise.resolve(nodes >= 2 && faults.some(({ kind }) => kind === 'crash'));
    const { scenario: smallest, runs } = await shrinkScenario(scenario, fails);
    expect(smallest).toMatchObject({
      nodes: 2,
      volume: { blocks: 1 },
      load: { readersPerNode: 1, reads: 1, readAhead: false, warm: false, partShare: 0 },
      faults: [{ ...crash, atMs: 300, forMs: 100 }],
    });
    expect(runs).toBeLessThanOrEqual(200);
  });
});
