import { type CheckReport, Findings } from "../projection/check-report.ts";

/** What was compared with the journal: the journal with itself, the state of this process, or the stored snapshot. */
export type LedgerCheckPlace = "journal" | "memory" | "snapshot";

/** What a check of a ledger found. */
export interface LedgerCheckFinding {
  readonly where: LedgerCheckPlace;
  /**
   * `missing`: the journal says that it is there; `injected`: the journal does not say so; `different`: it is there, and
   * not as the journal says.
   */
  readonly kind: "missing" | "injected" | "different";
  /**
   * What it is about: `holding alice CREDIT/2`, `lot alice CREDIT/2 7.0` (transaction number and number of the lot),
   * `hold 12.0` (its id), `account alice`, `places alice`, `reference order-7`, `key k1`, `reverted 7`, `metadata 7`
   * (number of the transaction), `sum CREDIT/2`, `commit 12` (its position), `head`, or an entry of the bucket.
   */
  readonly key: string;
  /** The value by the journal, in the form of `toJson`; a long one is cut to text. Undefined where there is to be none. */
  readonly expected?: unknown;
  /** The value that stands there, in the same form; undefined where there is none, and where it cannot be read. */
  readonly found?: unknown;
  /** Position of the commit with the last entry that speaks of it; undefined where none does. */
  readonly position?: number | undefined;
  /** What the two values do not show. */
  readonly reason?: string | undefined;
}

/** What the hash chain of a journal is like. */
export interface ChainReport {
  /** Whether every commit that was read has the hash that its bytes and its predecessors give, and none is missing. */
  readonly intact: boolean;
  /** The last commit whose hash is right. */
  readonly version: number;
  readonly position: number;
  /** Its hash. */
  readonly hash: string;
  /** The first commit whose hash is not; undefined where none is. */
  readonly brokenAt?: number | undefined;
  /** The last version that is known to have stood there, where the journal ends before it. */
  readonly cutBefore?: number | undefined;
  readonly reason?: string | undefined;
}

/** What a check of a ledger came to: plain data, made for JSON. */
export interface LedgerCheckReport {
  readonly ledger: string;
  readonly stream: string;
  /**
   * `clean`: all is as the journal says, and the journal is whole; `findings`: something is not; `incomplete`: the journal
   * is broken or was cut, or cannot be read, so that nothing can be said of the state; see `reason`.
   */
  readonly outcome: "clean" | "findings" | "incomplete";
  /** Why not everything was compared. */
  readonly reason?: string | undefined;
  readonly chain: ChainReport;
  /** Version up to which the state was derived from the journal. */
  readonly version: number;
  /** Version of the state of this process that was compared; undefined where there was none. */
  readonly memoryVersion?: number | undefined;
  /** Version of the snapshot that was compared; undefined where there was none. */
  readonly snapshotVersion?: number | undefined;
  /** The first of them, up to `maxFindings`. Those of the journal itself are there in an `incomplete` report too. */
  readonly findings: readonly LedgerCheckFinding[];
  /** All that there were. */
  readonly findingCount: number;
  /** Values that were compared, findings included. */
  readonly checkedKeys: number;
  /** Of the read models that were asked for. */
  readonly readModels: readonly CheckReport[];
  readonly durationMs: number;
}

/** A finding with the values as they are. */
export interface RawLedgerFinding {
  readonly where: LedgerCheckPlace;
  readonly kind: LedgerCheckFinding["kind"];
  readonly key: string;
  readonly expected?: unknown;
  readonly found?: unknown;
  position?: number | undefined;
  readonly reason?: string | undefined;
}

/** The findings of a check of a ledger, so many of them as are kept. */
export class LedgerFindings {
  readonly #limit: number;
  #kept: RawLedgerFinding[] = [];
  #count = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get count(): number {
    return this.#count;
  }

  /** Those that are kept; their positions may be filled in. */
  get kept(): readonly RawLedgerFinding[] {
    return this.#kept;
  }

  add(finding: RawLedgerFinding): void {
    this.#count++;
    if (this.#kept.length < this.#limit) this.#kept.push(finding);
  }

  /** Forgets what was found in states: the journal that they were compared with does not hold. */
  keepJournal(): void {
    this.#kept = this.#kept.filter(({ where }) => where === "journal");
    this.#count = this.#kept.length;
  }

  shown(): readonly LedgerCheckFinding[] {
    const shown = new Findings(this.#limit);
    for (const [at, { where, ...finding }] of this.#kept.entries())
      shown.add({ entry: String(at), table: where, ...finding });
    return shown.kept.map(({ table: _table, ...finding }, at) => ({
      where: this.#kept[at]?.where ?? "journal",
      ...finding,
    }));
  }
}
