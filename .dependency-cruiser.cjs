/**
 * The layer rule: imports run downwards only.
 *
 *   daemon → vfs → { meta, mesh, fuse },  mesh → { store, peer, ring },
 *   and everything may use { posix, block, runtime }.
 *
 * Each rule's comment says why it is there; the reporter prints it beside a violation.
 * `tools/layer-canary.ts` proves with a planted violation that these rules bite.
 */

/** A folder of src. The canary tree has the same shape at another root. */
const inSrc = (folders) => `^(test/tooling/layer-canary/)?src/(${folders})/`;
const CODED_ERROR = '^(test/tooling/layer-canary/)?src/runtime/coded-error\\.ts$';

const MESH_PARTS = ['store', 'peer', 'ring'];
const VFS_PARTS = ['meta', 'mesh', 'fuse'];
const GROUND = ['posix', 'block', 'runtime'];
const ABOVE_GROUND = ['daemon', 'vfs', ...VFS_PARTS, ...MESH_PARTS];

/** One rule per sibling: a folder does not import the others of its level. */
const siblings = (names, reason) =>
  names.map((name) => ({
    name: `siblings-${name}`,
    comment: reason,
    severity: 'error',
    from: { path: inSrc(name) },
    to: { path: inSrc(names.filter((other) => other !== name).join('|')) },
  }));

/** A package (or built-in) that only one folder may import. */
const home = (name, packages, folder, reason) => ({
  name: `home-${name}`,
  comment: reason,
  severity: 'error',
  from: { path: '^(test/tooling/layer-canary/)?src/', pathNot: inSrc(folder) },
  to: { path: `(^|node_modules/)(${packages})(/|$)`, dependencyTypesNot: ['local'] },
});

const forbidden = [
  {
    name: 'ground-imports-nothing-above',
    comment:
      'posix, block and runtime are the vocabulary everybody shares: if they knew a layer above, every test of a word would drag the layer in.',
    severity: 'error',
    from: { path: inSrc(GROUND.join('|')) },
    to: { path: inSrc(ABOVE_GROUND.join('|')) },
  },
  ...GROUND.map((name) => ({
    name: `ground-${name}-stands-alone`,
    comment:
      'posix, block and runtime do not import each other, so that each can be read alone; only the CodedError class is common ground, because one place maps all codes to errno values.',
    severity: 'error',
    from: { path: inSrc(name) },
    to: {
      path: inSrc(GROUND.filter((other) => other !== name).join('|')),
      pathNot: CODED_ERROR,
    },
  })),
  {
    name: 'mesh-parts-import-nothing-above',
    comment:
      'store, peer and ring are joined by mesh, not by themselves: each must run in a test without metadata, kernel or daemon.',
    severity: 'error',
    from: { path: inSrc(MESH_PARTS.join('|')) },
    to: { path: inSrc(['daemon', 'vfs', ...VFS_PARTS].join('|')) },
  },
  ...siblings(
    MESH_PARTS,
    'store, peer and ring share only the nouns of block; mesh joins them. Otherwise one cannot be replaced (a memory transport, a fake store) without the others.',
  ),
  {
    name: 'vfs-parts-import-nothing-above',
    comment:
      'meta, mesh and fuse do not know the file system above them: fuse defines FuseOperations and vfs implements it, so the bytes loop runs without vfs.',
    severity: 'error',
    from: { path: inSrc(VFS_PARTS.join('|')) },
    to: { path: inSrc('daemon|vfs') },
  },
  ...siblings(
    VFS_PARTS,
    'meta, mesh and fuse are joined by vfs: metadata does not know where blocks come from, and the kernel protocol knows neither.',
  ),
  {
    name: 'mesh-parts-are-reached-through-mesh',
    comment:
      'vfs, meta and fuse get blocks from mesh; going to a store, a peer or the ring directly would pass the cache and the one-flight-per-block rule by.',
    severity: 'error',
    from: { path: inSrc('vfs|meta|fuse') },
    to: { path: inSrc(MESH_PARTS.join('|')) },
  },
  {
    name: 'vfs-does-not-import-daemon',
    comment: 'daemon is the composition root: it builds everything, nothing asks it for anything.',
    severity: 'error',
    from: { path: inSrc('vfs') },
    to: { path: inSrc('daemon') },
  },
  {
    name: 'src-ships-alone',
    comment:
      'src is what the package ships: test, cluster-sim, bench and tools are not in it, so an import of them breaks the installed program.',
    severity: 'error',
    from: { path: '^(test/tooling/layer-canary/)?src/' },
    to: { path: '^(test/(?!tooling/layer-canary/src/)|cluster-sim/|bench/|tools/)' },
  },
  {
    name: 'no-cycles',
    comment:
      'Files that import each other in a circle can only be understood, tested and started together. Type-only imports count.',
    severity: 'error',
    from: { path: '^(test/tooling/layer-canary/)?src/' },
    to: { circular: true },
  },
  {
    name: 'no-unresolvable',
    comment: 'An import that cannot be found would make every other rule blind to it.',
    severity: 'error',
    from: {},
    to: { couldNotResolve: true },
  },
  home(
    'libp2p',
    'libp2p|@libp2p|@chainsafe|@multiformats',
    'peer',
    'libp2p only in src/peer: all others speak PeerTransport, which has a memory implementation for the simulation.',
  ),
  home('ioredis', 'ioredis', 'meta/redis', 'Redis is one of several metadata engines.'),
  home('sqlite', '(node:)?sqlite', 'meta/sqlite', 'SQLite is one of several metadata engines.'),
  home('s3', '@aws-sdk|@smithy', 'store/s3', 'S3 is one of several object stores.'),
  home(
    'koffi',
    'koffi|@koromix',
    'runtime/system',
    'Calls into libc can crash the process: they are kept where they can be read in one sitting.',
  ),
  home('fuse-native', 'fuse-native', 'fuse/native', 'fuse-native is one of two FUSE channels.'),
  home(
    'program',
    'commander|pino|pino-pretty|prom-client|cli-table3',
    'daemon',
    'Command line, log format and metrics format belong to the program; below it there are the Logger and Metrics interfaces of runtime.',
  ),
];

module.exports = {
  forbidden,
  options: {
    doNotFollow: { path: 'node_modules' },
    // Fixtures of the canary are cruised by the canary alone.
    exclude: { path: '^(dist|coverage)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
