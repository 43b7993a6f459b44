import { parentPort, workerData } from 'node:worker_threads';
import { ExtentMap, FoundExtent } from '../../src/fuse/extent-map.ts';

/* Looks up extents as fast as it can and counts those whose fields do not belong together. */
const data = workerData as { map: SharedArrayBuffer; control: SharedArrayBuffer };
const map = ExtentMap.attach(data.map);
const found = new FoundExtent();
const control = new Int32Array(data.control);
const [STOP, SEEN] = [0, 1];
const result = { torn: 0, taken: 0 };
while (Atomics.load(control, STOP) === 0) {
  for (let fileId = 1; fileId <= 24; fileId++) {
    if (!map.find(fileId, 5, found)) continue;
    const value = found.startInUnit;
    const isWhole =
      found.slot === value + 1 &&
      found.generation === value + 2 &&
      found.leaseOffset === value + 3 &&
      found.endInUnit === value + 1000 &&
      found.endsFile === (value % 2 === 0);
    Atomics.add(control, SEEN, 1);
    if (!isWhole) result.torn += 1;
    if (map.takeNotify(found)) result.taken += 1;
  }
}
parentPort?.postMessage(result);
