import type { GroupScale } from './group-scale.ts';
import type { JobStart } from './job-start.ts';
import type { RingScale } from './ring-scale.ts';
import type { WarmUpScale } from './warm-up-scale.ts';

/** What was measured for one size of a group. */
export interface ScaleRow {
  readonly nodes: number;
  readonly ring: RingScale;
  readonly group: GroupScale;
  readonly warmUp: WarmUpScale;
  readonly job: JobStart;
}

const WIDTH = 760;
const HEIGHT = 360;
const LEFT = 70;
const TOP = 48;
const PLOT_WIDTH = WIDTH - LEFT - 40;
const PLOT_HEIGHT = HEIGHT - TOP - 56;
/** Powers of ten of seconds between which the picture lies. */
const SECONDS_LOW = -1;
const SECONDS_HIGH = 4;

/** The table as Markdown. */
export function scaleTable(rows: readonly ScaleRow[]): string {
  const head = [
    '| nodes | fullest node, of its share | a join moves, of its share | seen by all: join | seen by all: death | seen by all: return | at rest, per node | warm-up of 1,000 blocks, of who asks | job start: from the origin alone | with the group | bytes from the origin |',
    '| --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |',
  ];
  const lines = rows.map(({ nodes, ring, group, warmUp, job }) => {
    const cells = [
      nodes,
      ring.maxOverMean.toFixed(3),
      ring.movedOverShare.toFixed(3),
      `${(group.joinMs / 1000).toFixed(2)} s`,
      `${(group.deathMs / 1000).toFixed(2)} s`,
      `${(group.returnMs / 1000).toFixed(2)} s`,
      restText(group),
      warmUpText(warmUp),
      `${(job.aloneMs / 1000).toFixed(1)} s`,
      `${(job.tookMs / 1000).toFixed(2)} s`,
      `${(job.originBytes / 1e9).toFixed(1)} GB`,
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [...head, ...lines].join('\n');
}

function restText({ restBytesPerSecond, restMessagesPerSecond }: GroupScale): string {
  const kilobytes = (restBytesPerSecond / 1000).toFixed(2);
  return `${kilobytes} KB/s, ${restMessagesPerSecond.toFixed(1)} messages/s`;
}

function warmUpText({ blocks, messages, bytes }: WarmUpScale): string {
  const thousands = blocks / 1000;
  return `${(messages / thousands).toFixed(0)} messages, ${(bytes / thousands / 1000).toFixed(0)} KB`;
}

/** How long a job start takes, with and without the group, as an SVG picture. */
export function scalePicture(rows: readonly ScaleRow[]): string {
  const sizes = rows.map(({ nodes }) => nodes);
  const x = (at: number) => LEFT + (PLOT_WIDTH * at) / Math.max(1, rows.length - 1);
  const y = (seconds: number) => {
    const share = (Math.log10(seconds) - SECONDS_LOW) / (SECONDS_HIGH - SECONDS_LOW);
    return TOP + PLOT_HEIGHT * (1 - share);
  };
  const line = (values: readonly number[], color: string) => {
    const points = values.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`);
    const dots = points.map((point) => {
      const [cx, cy] = point.split(',');
      return `<circle cx="${cx}" cy="${cy}" r="4" fill="${color}"/>`;
    });
    const path = `<polyline points="${points.join(' ')}" fill="none" stroke="${color}" stroke-width="2.5"/>`;
    return [path, ...dots].join('\n');
  };
  const alone = rows.map(({ job }) => job.aloneMs / 1000);
  const grouped = rows.map(({ job }) => job.tookMs / 1000);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    `<text x="${LEFT}" y="24" font-size="15">All nodes read the same 10 GB at once: seconds until all have it (simulated)</text>`,
    ...gridOf(y),
    ...sizes.map((nodes, at) => {
      return `<text x="${x(at).toFixed(1)}" y="${HEIGHT - 32}" text-anchor="middle">${nodes}</text>`;
    }),
    `<text x="${LEFT + PLOT_WIDTH / 2}" y="${HEIGHT - 10}" text-anchor="middle">nodes with 100 Gb/s links, an origin of 300 Gb/s</text>`,
    line(alone, '#b3541e'),
    line(grouped, '#1e6bb3'),
    label('the origin alone', x(0) + 12, y(alone[0] ?? 1) - 14, '#b3541e'),
    label('with a cache group', x(0) + 12, y(grouped[0] ?? 1) + 24, '#1e6bb3'),
    '</svg>',
    '',
  ].join('\n');
}

function gridOf(y: (seconds: number) => number): string[] {
  return Array.from({ length: SECONDS_HIGH - SECONDS_LOW + 1 }, (_, at) => {
    const seconds = 10 ** (SECONDS_LOW + at);
    const height = y(seconds).toFixed(1);
    return (
      `<line x1="${LEFT}" y1="${height}" x2="${LEFT + PLOT_WIDTH}" y2="${height}" stroke="#ddd"/>` +
      `<text x="${LEFT - 8}" y="${Number(height) + 4}" text-anchor="end">${seconds} s</text>`
    );
  });
}

function label(text: string, x: number, y: number, color: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="${color}">${text}</text>`;
}
