import { expect, test } from 'vitest';
import { toNodeId } from '../../src/block/node-id.ts';
import { PEER_ERROR_CODES, PeerError } from '../../src/peer/block-exchange.ts';
import { errorReply, parseBlockReply } from '../../src/peer/block-message.ts';
import type { ControlHandler, ControlTransport } from '../../src/peer/control-plane.ts';
import { GroupControl } from '../../src/peer/group-control.ts';
import { peerMetrics } from '../../src/peer/peer-metrics.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { recordingLogger } from '../servers/recording-logger.ts';
import { manualClock } from '../store/manual-clock.ts';
import { TEST_NAME } from './test-hosts.ts';

test.each(PEER_ERROR_CODES)('a peer can say %s on a bulk connection', (code) => {
  expect(parseBlockReply(errorReply(code, 'why'))).toMatchObject({ type: 'error', code });
});

test.each(['what', undefined, 7, 'constructor'])('%o is no reason that is known', (code) => {
  expect(parseBlockReply({ type: 'error', code, message: 'why' })).toMatchObject({
    code: 'failed',
  });
});

/** Two ends of a control channel in memory: what one asks the other answers. */
function controlPair() {
  let answer: ControlHandler | undefined;
  const nodeId = toNodeId('self');
  const transport: ControlTransport = {
    ...{ nodeId, port: 0, watch: () => undefined, disconnect: () => undefined },
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    handle: (handler) => {
      answer = handler;
    },
    async ask(_, message) {
      if (answer === undefined) throw new Error('nobody answers');
      return { from: nodeId, host: undefined, reply: await answer(nodeId, message) };
    },
  };
  const metrics = memoryMetrics();
  const log = recordingLogger();
  const counted = { metrics: peerMetrics(metrics), clock: manualClock(), logger: log.logger };
  const control = new GroupControl(transport, { name: TEST_NAME, ...counted });
  const ask = () =>
    control.ask({ nodeId, addresses: [] }, { type: 'question' }, { timeoutMs: 1000 });
  return { control, ask, metrics, lines: log.lines };
}

test.each([
  ...['busy', 'protocol', 'timeout', 'forbidden', 'encryption'].map((code) => [code, code]),
  // These would be about somebody else, and who asks would blame the one who answers.
  ...['unreachable', 'corrupt', 'absent', 'elsewhere'].map((code) => [code, 'failed']),
] as [(typeof PEER_ERROR_CODES)[number], string][])(
  'an answer of %s on the control channel means %s',
  async (said, meant) => {
    const { control, ask } = controlPair();
    control.on('question', () => {
      throw new PeerError(said, 'why');
    });
    await expect(ask()).rejects.toMatchObject({
      code: meant,
      message: expect.stringMatching(/why/),
    });
  },
);

test('refused messages are all counted, and logged now and then', async () => {
  const { ask, metrics, lines } = controlPair();
  for (let round = 0; round < 50; round += 1) await expect(ask()).rejects.toThrow('unknown type');
  expect(metrics.value('remotecache_control_errors', { reason: 'protocol' })).toBe(50);
  expect(lines).toHaveLength(1);
});
