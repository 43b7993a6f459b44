import { describe, expect, it } from 'vitest';
import { parseOptions } from '../../cluster-sim/options.ts';
import { checkScenarioFile } from '../../cluster-sim/scenario/check-scenario.ts';
import { COSTS, loadScenario, scenarioNames } from '../../cluster-sim/scenario/scenario-files.ts';

const HEAD = { name: 'a', about: 'b' };
const fault = (fields: object) => ({ ...HEAD, faults: [{ atMs: 1, forMs: 1, ...fields }] });

describe('scenario files', () => {
  it('that are there make sense, and each is of its own name', () => {
    const names = COSTS.flatMap((cost) => scenarioNames(cost));
    expect(names.length).toBeGreaterThan(30);
    for (const name of names) expect(name).toContain(`/${loadScenario(name, 1).name}`);
  });

  it.each([
    [[], 'is no object'],
    [{ about: 'b' }, 'name is missing'],
    [{ ...HEAD, node: 3 }, "no field 'node'"],
    [{ ...HEAD, nodes: '3' }, 'nodes: "3" is no number'],
    [{ ...HEAD, checks: { stallMs: 1 } }, "checks: there is no field 'stallMs'"],
    [{ ...HEAD, seeds: ['1'] }, 'seeds: "1" is no number'],
    [{ ...HEAD, faults: {} }, 'faults are no list'],
    [fault({ kind: 'krash', node: 1 }), "fault 1: there is no kind 'krash'"],
    [fault({ kind: 'crash', node: 1, power: true }), 'keepCache is missing'],
    [fault({ kind: 'link', quality: { lossrate: 1 } }), "quality: there is no field 'lossrate'"],
    [fault({ kind: 'partition', side: 1 }), 'side is no list'],
  ])('that make no sense are refused: %j', (content, message) => {
    expect(() => checkScenarioFile(content, 'x.json')).toThrow(message);
  });
});

describe('the command line', () => {
  it.each([
    ['--seeds', 'many', 'a whole number from 1'],
    ['--seeds', '0', 'a whole number from 1'],
    ['--minutes', 'x', 'a number above 0'],
    ['--threads', '0', 'a whole number from 1'],
    ['--seed', '1.5', 'a whole number from 0'],
    ['--scale', '10,x', 'a whole number from 2'],
  ])('is refused when it would do nothing: %s %s', (option, value, message) => {
    expect(() => parseOptions([option, value])).toThrow(message);
  });

  it('is taken as it is meant', () => {
    const asked = parseOptions(['--seeds', '1000', '--twice-every', '10', '--scale', '10,30']);
    expect(asked).toMatchObject({ seeds: 1000, twiceEvery: 10, scale: [10, 30], threads: 2 });
  });
});
