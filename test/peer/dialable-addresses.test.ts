import { expect, test } from 'vitest';
import { toNodeId } from '../../src/block/node-id.ts';
import { dialableAddresses, hostOf, toMultiaddr } from '../../src/peer/dialable-addresses.ts';
import type { InterfaceAddress } from '../../src/peer/network.ts';

const nodeId = toNodeId('12D3KooWC9dR3CBm5StuqgZSwEJnM7SMqj8TasPVtAkwhWk1M6pH');
const loopback: InterfaceAddress = { address: '127.0.0.1', family: 4, internal: true };
const lan: InterfaceAddress = { address: '10.1.2.3', family: 4, internal: false };
const lan6: InterfaceAddress = { address: 'fd00::3', family: 6, internal: false };

function addressesOf(host: string, interfaces: InterfaceAddress[], announce: string[] = []) {
  return dialableAddresses({ nodeId, host, port: 7000, announce, interfaces });
}

test.each([
  ['0.0.0.0', [loopback, lan, lan6], ['/ip4/10.1.2.3/tcp/7000']],
  ['0.0.0.0', [loopback], ['/ip4/127.0.0.1/tcp/7000']],
  ['0.0.0.0', [], ['/ip4/127.0.0.1/tcp/7000']],
  ['::', [loopback, lan, lan6], ['/ip4/10.1.2.3/tcp/7000', '/ip6/fd00::3/tcp/7000']],
  ['10.9.9.9', [lan], ['/ip4/10.9.9.9/tcp/7000']],
])('a listener on %s beside %o is dialled at %o', (host, interfaces, expected) => {
  expect(addressesOf(host, interfaces)).toEqual(expected.map((each) => `${each}/p2p/${nodeId}`));
});

test('what is announced replaces what is listened on', () => {
  const announce = ['node-1.example:7001', '/ip4/192.0.2.1/tcp/9'];
  expect(addressesOf('0.0.0.0', [lan], announce)).toEqual([
    `/dns/node-1.example/tcp/7001/p2p/${nodeId}`,
    `/ip4/192.0.2.1/tcp/9/p2p/${nodeId}`,
  ]);
});

test.each([
  ['10.0.0.1:80', '/ip4/10.0.0.1/tcp/80'],
  ['[fd00::1]:80', '/ip6/fd00::1/tcp/80'],
  ['host.example:65535', '/dns/host.example/tcp/65535'],
  [`/ip4/10.0.0.1/tcp/80/p2p/${nodeId}`, `/ip4/10.0.0.1/tcp/80/p2p/${nodeId}`],
])('%s is %s', (text, expected) => {
  expect(toMultiaddr(text)).toBe(expected);
});

test.each([
  '',
  'host',
  'host:',
  'host:0',
  'host:65536',
  ':80',
  'fd00::1:80',
  '/ip4/999.0.0.1/tcp/1',
  '/x',
])('%j is no address', (text) => {
  expect(() => toMultiaddr(text)).toThrow(expect.objectContaining({ code: 'bad-address' }));
});

test('the host of an address', () => {
  expect(hostOf('/ip4/10.0.0.1/tcp/80')).toBe('10.0.0.1');
  expect(hostOf('/dns4/a.example/tcp/80')).toBe('a.example');
  expect(hostOf('/unix/tmp')).toBeUndefined();
  expect(hostOf('nonsense')).toBeUndefined();
});
