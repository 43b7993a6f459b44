import type { NodeId } from '../../src/block/node-id.ts';
import type { Member } from '../../src/peer/block-exchange.ts';
import { deriveGroupKey, type GroupKey } from '../../src/peer/group-key.ts';
import { Fabric } from '../network/fabric.ts';
import { LinkRules, type LinkQuality } from '../network/link-rules.ts';
import { Machines } from '../network/machine.ts';
import type { ControlTraffic } from '../network/sim-control.ts';
import { type OriginQuality, SimOrigin } from '../origin/sim-origin.ts';
import { SimVolume, type VolumeShape } from '../origin/sim-volume.ts';
import type { SimStock } from '../world/sim-stock.ts';
import type { World } from '../world/world.ts';
import { SimMemory } from './sim-memory.ts';
import type { NodeSettings } from './node-settings.ts';
import { SimNode } from './sim-node.ts';
import { VOLUME_UUID } from './volume-uuid.ts';
import type { Planting } from '../canaries/planting.ts';

/** What strangers do not know. */
const MEMBERS_SECRET = 'what members know';

/** What a cluster is made of. */
export interface ClusterShape {
  readonly nodes: number;
  readonly volume: VolumeShape;
  readonly link: LinkQuality;
  readonly origin: OriginQuality;
  readonly settings: NodeSettings;
}

/** All machines of a simulation and what they share. */
export class Cluster {
  readonly world: World;
  readonly machines = new Machines();
  readonly memory: SimMemory;
  readonly fabric: Fabric;
  readonly rules: LinkRules;
  readonly volume: SimVolume;
  readonly origin: SimOrigin;
  readonly settings: NodeSettings;
  readonly key: GroupKey;
  readonly planting: Planting;
  readonly nodes: readonly SimNode[];
  readonly traffic: ControlTraffic = { messages: 0, bytes: 0 };
  /** The sessions of the volume: who is in the group, as discovery tells. */
  readonly sessions = new Map<NodeId, Member>();
  /** While true, the metadata engine does not answer. */
  isMetaDown = false;

  /** @param how - `planting`: bugs that are planted to see whether the checks find them */
  constructor(
    world: World,
    shape: ClusterShape,
    { planting, stock }: { readonly planting: Planting; readonly stock: SimStock },
  ) {
    this.world = world;
    this.memory = new SimMemory(stock);
    this.planting = planting;
    this.settings = shape.settings;
    this.rules = new LinkRules(shape.link);
    this.fabric = new Fabric(world, this.rules);
    this.volume = new SimVolume(shape.volume, world.random.fork('volume'), stock);
    this.origin = new SimOrigin(world, this.volume, shape.origin);
    this.key = deriveGroupKey(Buffer.from(planting.secret ?? MEMBERS_SECRET), VOLUME_UUID);
    this.nodes = Array.from({ length: shape.nodes }, () => new SimNode(this, this.machines.add()));
  }

  /** Gives back what the next simulation can use again. Nothing may happen in this one any more. */
  close(): void {
    this.memory.close();
  }

  /** Nodes whose process runs and takes part. */
  get up(): SimNode[] {
    return this.nodes.filter((node) => node.isUp);
  }
}
