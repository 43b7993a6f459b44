/**
 * Proves that the layer rules bite: runs dependency-cruiser over a small tree with planted
 * violations. A linter that reads no file also finds no violation, so the absence of findings in
 * src means something only while this canary is found.
 */
import { runProgram } from './run-program.ts';

const CANARY_DIR = 'test/tooling/layer-canary';

/** Each rule that the planted tree breaks. */
const EXPECTED_RULES = [
  'ground-imports-nothing-above',
  'home-ioredis',
  'home-sqlite',
  'no-cycles',
  'siblings-ring',
  'src-ships-alone',
] as const;

interface CruiseReport {
  readonly summary: {
    readonly totalCruised: number;
    readonly violations: readonly { readonly rule: { readonly name: string } }[];
  };
}

async function cruiseCanary(): Promise<CruiseReport> {
  const { stdout, stderr } = await runProgram([
    'depcruise',
    '--config',
    '.dependency-cruiser.cjs',
    '--output-type',
    'json',
    CANARY_DIR,
  ]);
  if (!stdout.startsWith('{')) throw new Error(`depcruise gave no report: ${stderr}`);
  return JSON.parse(stdout) as CruiseReport;
}

const { summary } = await cruiseCanary();
const found = new Set(summary.violations.map((violation) => violation.rule.name));
const missed = EXPECTED_RULES.filter((rule) => !found.has(rule));
if (summary.totalCruised === 0) {
  console.error('layer canary: dependency-cruiser read no file, so the layer rules check nothing');
  process.exit(1);
}
if (missed.length > 0) {
  console.error(`layer canary: planted violations were not reported: ${missed.join(', ')}`);
  process.exit(1);
}
console.log(`layer canary: all ${EXPECTED_RULES.length} planted violations were reported`);
