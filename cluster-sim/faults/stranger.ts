import { blockIdOf } from '../../src/block/block-key.ts';
import { toNodeId } from '../../src/block/node-id.ts';
import { deriveGroupKey } from '../../src/peer/group-key.ts';
import { encodeFrame } from '../../src/peer/frame-codec.ts';
import { bulkProof } from '../../src/peer/member-credentials.ts';
import { MemberProof } from '../../src/peer/member-proof.ts';
import { SPOKEN_VERSIONS } from '../../src/peer/protocol-version.ts';
import { SimNetwork } from '../network/sim-network.ts';
import type { Cluster } from '../node/cluster.ts';
import { nodeIdOf } from '../node/node-ids.ts';
import type { SimNode } from '../node/sim-node.ts';
import { VOLUME_UUID } from '../node/volume-uuid.ts';
import { NodeTime } from '../world/node-time.ts';

/** What a stranger got out of a node. */
export interface StrangerReport {
  readonly node: number;
  /** The bytes that it asks for. */
  readonly wanted: Uint8Array;
  /** Everything that was sent to it, by attempt. */
  readonly heard: readonly Uint8Array[][];
}

/** What a stranger takes for the group's secret. */
export const GUESSED_SECRET = 'what others guess';
/** Names of strangers begin here. */
const STRANGER_NUMBER = 40_000;

/**
 * Somebody without the group's secret connects: one knocks with a proof by another secret, one asks
 * without any proof, one talks nonsense.
 */
export function beginStranger(cluster: Cluster, node: SimNode): StrangerReport {
  const { world, fabric, machines, volume } = cluster;
  const machine = machines.add();
  const time = new NodeTime(world, 0);
  const process = machine.begin(time);
  const network = new SimNetwork({ fabric, machines, machine, process });
  const random = world.random.fork(`stranger ${machine.number}`);
  const [key] = volume.keys;
  const request = { type: 'get', id: key && blockIdOf(key), offset: 0, length: key?.sizeBytes };
  const ask = encodeFrame(request, 0, { version: SPOKEN_VERSIONS.max, request: 1 });
  const credentials = {
    self: nodeIdOf(STRANGER_NUMBER + machine.number),
    name: { group: 'sim', volumeId: VOLUME_UUID },
    key: deriveGroupKey(Buffer.from(GUESSED_SECRET), VOLUME_UUID),
    versions: SPOKEN_VERSIONS,
  };
  const talks = [
    () => {
      const { proof, send } = MemberProof.connect(bulkProof(credentials, random), node.id);
      const onData = (chunk: Uint8Array) => {
        const words = proof.push(chunk).send;
        return words === undefined ? undefined : Buffer.concat([words, ask]);
      };
      return { send, onData };
    },
    () => ({ send: ask, onData: () => ask }),
    () => ({ send: random.bytes(300), onData: () => undefined }),
    () => {
      const other = { ...credentials, self: toNodeId(node.id) };
      const { send } = MemberProof.connect(bulkProof(other, random), node.id);
      return { send, onData: () => ask };
    },
  ];
  const heard = talks.map((talk) => {
    const chunks: Uint8Array[] = [];
    void knock(network, node, talk, chunks);
    return chunks;
  });
  const wanted = key === undefined ? new Uint8Array(0) : volume.bytesOf(key);
  return { node: node.number, wanted, heard };
}

async function knock(
  network: SimNetwork,
  node: SimNode,
  talk: () => { send: Uint8Array; onData: (chunk: Uint8Array) => Uint8Array | undefined },
  heard: Uint8Array[],
): Promise<void> {
  const port = node.process?.host.bulkPort ?? 0;
  const { send, onData } = talk();
  let answer: (chunk: Uint8Array) => void = () => undefined;
  const options = {
    signal: new AbortController().signal,
    onData: (chunk: Uint8Array) => {
      heard.push(chunk.slice());
      answer(chunk);
    },
  };
  const { socket } = await network
    .connect({ host: node.machine.ip, port }, options)
    .catch(() => ({ socket: undefined }));
  if (socket === undefined) return;
  socket.on('error', () => undefined);
  socket.resume();
  answer = (chunk) => {
    let words: Uint8Array | undefined;
    try {
      words = onData(chunk);
    } catch {
      // The node refuses us: that is what it is there for. A stranger goes on all the same.
      words = send;
    }
    if (words !== undefined && !socket.destroyed) socket.write(words);
  };
  socket.write(send);
}
