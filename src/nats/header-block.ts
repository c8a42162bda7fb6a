/**
 * The header block of a NATS message as text, searched only for what is asked.
 *
 * nats-core's own headers are parsed as a whole, each name validated, for every message: too slow for readers
 * that pass over hundreds of thousands of messages a second. Names are case-sensitive (ADR-4 of NATS).
 */

const lineEnd = "\r\n";
const magic = "NATS/1.0";
const firstLineEnd = magic.length + lineEnd.length;
const colon = 58;

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

  /** The values of the block's first headers, if these are the named ones in this order; a search for each costs more. */
  leading(names: readonly string[]): string[] | undefined {
    const text = this.#text;
    const values: string[] = [];
    let at = firstLineEnd;
    for (const name of names) {
      const start = at + name.length + 1;
      if (!text.startsWith(name, at) || text.charCodeAt(start - 1) !== colon) return undefined;
      const end = text.indexOf(lineEnd, start);
      if (end === -1) return undefined;
      values.push(text.slice(start, end).trim());
      at = end + lineEnd.length;
    }
    return values;
  }

  /**
   * Value of the last header of that name. The server appends its own headers to those of the writer, so this is how
   * to read one that the writer could have forged.
   */
  getLast(name: string): string | undefined {
    return this.#valueAt(this.#text.lastIndexOf(`${lineEnd}${name}:`), name);
  }

  /**
   * Headers in the order of the block, names repeated where they repeat.
   *
   * @param skippedPrefixes names that start with one of these are left out, at little cost
   */
  entries(skippedPrefixes: readonly string[] = []): [name: string, value: string][] {
    const found: [string, string][] = [];
    const text = this.#text;
    let start = text.indexOf(lineEnd) + lineEnd.length;
    while (start >= lineEnd.length) {
      const end = text.indexOf(lineEnd, start);
      if (end === start) break;
      if (!startsWithOne(text, start, skippedPrefixes)) {
        const colon = text.indexOf(":", start);
        const lineStop = end === -1 ? text.length : end;
        if (colon > start && colon < lineStop) {
          found.push([text.slice(start, colon), text.slice(colon + 1, lineStop).trim()]);
        }
      }
      if (end === -1) break;
      start = end + lineEnd.length;
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

function startsWithOne(text: string, at: number, prefixes: readonly string[]): boolean {
  for (const prefix of prefixes) if (text.startsWith(prefix, at)) return true;
  return false;
}
