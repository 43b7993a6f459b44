import type { NodeId } from '../block/node-id.ts';
import type { AddressBook } from './address-book.ts';
import type { GroupControl } from './group-control.ts';
import { encodeReport, type MemberReport, parseReport } from './member-report.ts';

/** Asks members how they are doing, over the control plane. */
export class ReportExchange {
  readonly #control: GroupControl;
  readonly #book: AddressBook;

  constructor(control: GroupControl, book: AddressBook) {
    this.#control = control;
    this.#book = book;
  }

  /** Answers others from now on. */
  handle(report: () => Promise<MemberReport>): void {
    this.#control.on('report', async () => encodeReport(await report()));
  }

  /** @throws PeerError; the signal's reason when aborted */
  async ask(
    node: NodeId,
    options: { timeoutMs: number; signal: AbortSignal },
  ): Promise<MemberReport> {
    const target = { nodeId: node, addresses: this.#book.get(node) };
    return parseReport((await this.#control.ask(target, { type: 'report' }, options)).reply);
  }
}
