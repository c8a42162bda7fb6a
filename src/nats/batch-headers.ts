import { Buffer } from "node:buffer";

/** Headers as lines that each end in CR LF. */
export function formatHeaders(
  headers: readonly (readonly [name: string, value: string])[] | undefined,
): string {
  let lines = "";
  for (const [name, value] of headers ?? []) lines += `${name}: ${value}\r\n`;
  return lines;
}

/** The header block of a message of its own. `lines` each end in CR LF. */
export function headerBlock(lines: string): Buffer {
  return Buffer.from(`NATS/1.0\r\n${lines}\r\n`);
}

/** The header blocks of one atomic batch (ADR-50 of NATS), one after the other. */
export class BatchHeaders {
  readonly #start: string;
  #number = 0;

  /** @param batchId up to 64 characters, good for one attempt: leftovers of a lost one must not mix with the next */
  constructor(batchId: string) {
    this.#start = `NATS/1.0\r\nNats-Batch-Id: ${batchId}\r\nNats-Batch-Sequence: `;
  }

  /** The block of the next message. `lines` each end in CR LF. */
  next(lines: string): Buffer {
    return Buffer.from(`${this.#start}${++this.#number}\r\n${lines}\r\n`);
  }

  /** The block of the last message, which commits the batch. */
  commit(lines: string): Buffer {
    return this.next(`Nats-Batch-Commit: 1\r\n${lines}`);
  }
}
