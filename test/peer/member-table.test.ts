import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toNodeId } from '../../src/block/node-id.ts';
import type { GroupView, Member } from '../../src/peer/block-exchange.ts';
import { MemberTable } from '../../src/peer/member-table.ts';

function member(name: string, weight = 100): Member {
  return { nodeId: toNodeId(name), addresses: [`/dns/${name}/tcp/1`], weight };
}

const names = (view: GroupView) => view.members.map(({ nodeId }) => nodeId).join('');

test('the view holds ourselves and those that answer, and its epoch grows with each change', () => {
  const table = new MemberTable(member('m'));
  const epochs: number[] = [];
  const end = table.subscribe((view) => epochs.push(view.epoch));
  expect(names(table.view)).toBe('m');
  table.hear(member('z'), 1);
  table.hear(member('a'), 2);
  table.hear(member('a'), 3);
  expect(names(table.view)).toBe('amz');
  expect(table.suspect(toNodeId('a'))).toBe(true);
  expect(table.suspect(toNodeId('a'))).toBe(false);
  expect(table.suspect(toNodeId('m'))).toBe(false);
  expect(names(table.view)).toBe('mz');
  table.hear(member('a', 50), 4);
  table.remove(toNodeId('z'));
  table.remove(toNodeId('z'));
  expect(names(table.view)).toBe('am');
  table.setSelf(member('m', 0));
  expect(epochs).toEqual([2, 3, 4, 5, 6, 7]);
  end();
  table.remove(toNodeId('a'));
  expect(epochs.length).toBe(6);
});

test('what others say of ourselves does not count', () => {
  const table = new MemberTable(member('m'));
  table.hear(member('m', 7), 1);
  expect(table.view).toEqual({ epoch: 1, members: [member('m')] });
});

test('an epoch never names two views', () => {
  const step = fc.record({
    kind: fc.constantFrom('hear', 'suspect', 'remove'),
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    weight: fc.nat(2),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const table = new MemberTable(member('m'));
      const seen = new Map([[1, JSON.stringify(table.view.members)]]);
      let last = table.view.epoch;
      for (const { kind, name, weight } of steps) {
        if (kind === 'hear') table.hear(member(name, weight), 0);
        else if (kind === 'suspect') table.suspect(toNodeId(name));
        else table.remove(toNodeId(name));
        const { epoch, members } = table.view;
        expect(epoch).toBeGreaterThanOrEqual(last);
        last = epoch;
        const text = JSON.stringify(members);
        expect(seen.get(epoch) ?? text).toBe(text);
        seen.set(epoch, text);
      }
    }),
  );
});
