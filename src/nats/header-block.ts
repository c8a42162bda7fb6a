/**
 * The header block of a NATS message as text, searched only for what is asked.
 *
 * nats-core's own headers are parsed as a whole, each name validated, for every message: too slow for readers
 * that pass over hundreds of thousands of messages a second. Names are case-sensitive (ADR-4 of NATS).
 */

const lineEnd = "\r\n";
const magic = "NATS/1.0";

/** Header block of a message, searched lazily. */
export class HeaderBlock {
  readonly #text: string;

  /** @param text the block as on the wire: `NATS/1.0[ <status> <description>]\r\nName: value\r\n…\r\n\r\n` */
  constructor(text: string) {
    this.#text = text;
  }

  /** Value of the first header of that name, trimmed; undefined where there is none. */
  get(name: string): string | undefined {
    return this.#valueAt(this.#text.indexOf(`${lineEnd}${name}:`), name);
  }

  /**
   * Value of the last header of that name. The server appends its own headers to those of the writer, so this is how
   * to read one that the writer could have forged.
   */
  getLast(name: string): string | undefined {
    return this.#valueAt(this.#text.lastIndexOf(`${lineEnd}${name}:`), name);
  }

  /** All headers in the order of the block, names repeated where they repeat. */
  entries(): [name: string, value: string][] {
    const found: [string, string][] = [];
    const lines = this.#text.split(lineEnd);
    for (let at = 1; at < lines.length; at += 1) {
      const line = lines[at] ?? "";
      const colon = line.indexOf(":");
      if (colon > 0) found.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
    }
    return found;
  }

  /** Status of the first line, such as 404; undefined for a message that is no status. */
  get status(): number | undefined {
    const first = this.#firstLine();
    if (first === "") return undefined;
    const code = Number.parseInt(first, 10);
    return Number.isNaN(code) ? undefined : code;
  }

  /** Text behind the status, such as `Message Not Found`; empty where there is none. */
  get description(): string {
    return this.#firstLine().replace(/^\d+/, "").trim();
  }

  #firstLine(): string {
    const end = this.#text.indexOf(lineEnd);
    return this.#text.slice(magic.length, end === -1 ? undefined : end).trim();
  }

  #valueAt(lineStart: number, name: string): string | undefined {
    if (lineStart === -1) return undefined;
    const start = lineStart + lineEnd.length + name.length + 1;
    const end = this.#text.indexOf(lineEnd, start);
    return this.#text.slice(start, end === -1 ? undefined : end).trim();
  }
}

/** The block of a message without headers. */
export const noHeaders: HeaderBlock = new HeaderBlock(`${magic}${lineEnd}${lineEnd}`);
