import cliProgress from 'cli-progress';
import { byteText } from './byte-text.ts';
import type { WarmupLine } from './warmup-line.ts';

/** Without a terminal a line is printed at most this often. */
const PLAIN_INTERVAL_MS = 10_000;
/** Weight of the last second in the speed that is shown. */
const SMOOTHING = 0.3;

/** Shows how far a warm-up is while it runs. */
export interface WarmupDisplay {
  update(line: WarmupLine): void;
  /** Leaves the last state behind; nothing is shown afterwards. */
  end(): void;
}

/** JSON, a line a second. */
export function jsonDisplay(output: NodeJS.WritableStream): WarmupDisplay {
  const speed = new Speed();
  return {
    update: (line) => void output.write(`${JSON.stringify({ ...line, ...speed.of(line) })}\n`),
    end: () => undefined,
  };
}

/** A progress bar on a terminal; else a plain line every 10 seconds. */
export function textDisplay(output: NodeJS.WriteStream): WarmupDisplay {
  return output.isTTY ? barDisplay(output) : plainDisplay(output);
}

function barDisplay(output: NodeJS.WriteStream): WarmupDisplay {
  const format =
    '{action} [{bar}] {percentage}% | {files} files | {bytes} | {speed} | {eta_text}{failed}';
  const bar = new cliProgress.SingleBar(
    { format, stream: output, hideCursor: true, clearOnComplete: false },
    cliProgress.Presets.shades_classic,
  );
  const speed = new Speed();
  bar.start(1, 0, { ...textsOf(undefined, { bytesPerSecond: 0, etaSeconds: null }) });
  return {
    update: (line) => {
      bar.setTotal(Math.max(1, line.bytesFound));
      bar.update(line.bytesDone, textsOf(line, speed.of(line)));
    },
    end: () => bar.stop(),
  };
}

function plainDisplay(output: NodeJS.WriteStream): WarmupDisplay {
  const speed = new Speed();
  let nextMs = PLAIN_INTERVAL_MS;
  return {
    update: (line) => {
      const rate = speed.of(line);
      if (line.elapsedMs < nextMs || line.type === 'end') return;
      nextMs = line.elapsedMs + PLAIN_INTERVAL_MS;
      const text = textsOf(line, rate);
      const parts = [text.action, `${text.files} files`, text.bytes, text.speed, text.eta_text];
      output.write(`${parts.join(' | ')}${text.failed}\n`);
    },
    end: () => undefined,
  };
}

interface Rate {
  readonly bytesPerSecond: number;
  /** Null until the whole tree was seen. */
  readonly etaSeconds: number | null;
}

function textsOf(line: WarmupLine | undefined, { bytesPerSecond, etaSeconds }: Rate) {
  const more = line?.walked === true ? '' : '+';
  const failed = (line?.filesFailed ?? 0) + (line?.pathsFailed ?? 0);
  return {
    action: line?.action ?? '',
    files: `${line?.filesDone ?? 0}/${line?.filesFound ?? 0}${more}`,
    bytes: `${byteText(line?.bytesDone ?? 0)} of ${byteText(line?.bytesFound ?? 0)}${more}`,
    speed: `${byteText(Math.round(bytesPerSecond))}/s`,
    eta_text: etaSeconds === null ? 'ETA ?' : `ETA ${Math.round(etaSeconds)} s`,
    failed: failed === 0 ? '' : ` | ${failed} failed`,
  };
}

/** The speed of the last seconds, smoothed. */
class Speed {
  #last: { elapsedMs: number; bytesDone: number } = { elapsedMs: 0, bytesDone: 0 };
  #bytesPerSecond: number | undefined;

  of({ elapsedMs, bytesDone, bytesFound, walked }: WarmupLine): Rate {
    const seconds = (elapsedMs - this.#last.elapsedMs) / 1000;
    if (seconds > 0) {
      const now = (bytesDone - this.#last.bytesDone) / seconds;
      const before = this.#bytesPerSecond ?? now;
      this.#bytesPerSecond = before + SMOOTHING * (now - before);
      this.#last = { elapsedMs, bytesDone };
    }
    const bytesPerSecond = Math.round(this.#bytesPerSecond ?? 0);
    const leftBytes = bytesFound - bytesDone;
    const isKnown = walked && (leftBytes === 0 || bytesPerSecond > 0);
    const etaSeconds = isKnown ? Math.round(leftBytes / Math.max(1, bytesPerSecond)) : null;
    return { bytesPerSecond, etaSeconds };
  }
}
