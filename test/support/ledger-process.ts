import type { Decided, DecidedItem } from "../../src/ledger/decided.ts";
import { Decider } from "../../src/ledger/decider.ts";
import { InsufficientFundsError } from "../../src/ledger/errors.ts";
import { decodeEntry, joinPieces, packEntries } from "../../src/ledger/journal-codec.ts";
import type { OpenedEntry } from "../../src/ledger/journal-entry.ts";
import { applyCommit } from "../../src/ledger/journal-state.ts";
import type { JournalCommit } from "../../src/ledger/journal.ts";
import { type FoundEntry, LookupNeeded } from "../../src/ledger/lookups.ts";
import { idOf, LedgerState, type PendingCommit } from "../../src/ledger/state.ts";
import { assemblePayload, decodePayload } from "../../src/store/payload.ts";
import { askedOf, batchOf } from "./ledger-asking.ts";
import type { Refusal } from "./naive-books.ts";
import type { NaiveCommand } from "./naive-commands.ts";
import type { Done } from "./naive-ledger.ts";

/** Why a ledger refused, in the terms of the naive one. */
export function refusalOf(error: unknown): Refusal {
  if (!(error instanceof Error) || !("code" in error)) throw error;
  const refused = String(error.code);
  if (!(error instanceof InsufficientFundsError)) return { refused };
  const { account, asset, needed, available } = error;
  return { refused, funds: [account, asset, needed, available] };
}

/** A journal without a server: bytes behind each other. */
export class MemoryJournal {
  readonly #commits: {
    readonly bytes: Uint8Array;
    readonly position: number;
    readonly firstVersion: number;
  }[] = [];
  readonly #ids: string[] = [];
  readonly #entries = new Map<string, FoundEntry>();

  constructor(opened: OpenedEntry) {
    this.append(joinPieces([packEntries([opened])], 1), 1);
  }

  get length(): number {
    return this.#commits.length;
  }

  /** How many commits there are up to a position. */
  lengthAt(position: number): number {
    return this.#commits.filter((commit) => commit.position <= position).length;
  }

  append(body: Uint8Array, count: number): void {
    // other messages of the stream stand in between
    const position = this.#commits.length * 3 + 2;
    const bytes = assemblePayload(undefined, body);
    this.#commits.push({ bytes, position, firstVersion: this.#ids.length + 1 });
    for (const commit of this.readOn(this.length - 1)) {
      if (commit.entries.length !== count) throw new Error(`${count} entries were announced`);
      for (const [index, entry] of commit.entries.entries()) {
        const place = { position, index, version: commit.firstVersion + index };
        this.#ids.push(idOf(place));
        this.#entries.set(idOf(place), { entry, place });
      }
    }
  }

  /** As it is read: each commit is decoded anew. */
  *readOn(from: number): Generator<JournalCommit, void, undefined> {
    for (const { bytes, position, firstVersion } of this.#commits.slice(from)) {
      const { events } = decodePayload(bytes);
      const entries = events.map((event) => decodeEntry(event, position));
      const version = firstVersion + events.length - 1;
      const point = { version, position, commitId: `at ${position}`, chain: `to ${position}` };
      yield { entries, firstVersion, point, recordedAtMs: 0 };
    }
  }

  /** The id of an entry by its number. */
  readonly idOf = (version: number): string => this.#ids[version - 1] ?? "999999.0";

  entryAt(id: string): FoundEntry | undefined {
    return this.#entries.get(id);
  }

  /** The state that it makes. */
  replayed(): LedgerState {
    const state = new LedgerState();
    for (const commit of this.readOn(0)) applyCommit(state, commit);
    return state;
  }
}

/** A command, or several that are a batch, decided at an instant. */
export interface Request {
  readonly commands: readonly NaiveCommand[];
  readonly batch: { readonly dryRun: boolean } | undefined;
  /** By the clock of the process, when it was decided last. */
  now: number;
  verdicts: readonly (Done | Refusal)[];
  entries: number;
}

/** Looks at the state of a process. */
export interface ProcessWatch {
  /** Before something is decided. @returns what looks at what it came to */
  deciding(state: LedgerState): (request: Request) => void;
  /** What was not acknowledged has just been taken back. */
  takenBack(state: LedgerState): void;
}

/** Commands that are stored together, on their way. */
interface Flight {
  readonly requests: readonly Request[];
  readonly pending: PendingCommit;
  readonly body: Uint8Array;
  /** How long the journal must be. */
  behind: number;
}

/**
 * A process that writes a ledger in groups, as `GroupCommit` does it, but for the server and the waiting: what comes
 * when is the script's to say.
 */
export class LedgerProcess {
  readonly #journal: MemoryJournal;
  readonly #clock: () => number;
  readonly #watch: ProcessWatch | undefined;
  readonly state: LedgerState;
  readonly #decider: Decider;
  #open: Request[] = [];
  #pieces: Uint8Array[] = [];
  #read: number;
  #flight: Flight | undefined;

  /** @param state what it begins with, instead of the whole journal */
  constructor(
    journal: MemoryJournal,
    clock: () => number,
    watch?: ProcessWatch,
    state: LedgerState = new LedgerState(),
  ) {
    this.state = state;
    this.#read = journal.lengthAt(state.point.position);
    this.#watch = watch;
    this.#journal = journal;
    this.#clock = clock;
    this.#decider = new Decider(this.state, 1 << 20);
    this.#readOn();
  }

  get isIdle(): boolean {
    return this.#flight === undefined && this.#open.length === 0;
  }

  submit(commands: readonly NaiveCommand[], batch?: { readonly dryRun: boolean }): void {
    this.#decide({ commands, batch, now: 0, verdicts: [], entries: 0 });
  }

  /** Sends what is decided, behind what is acknowledged or on its way. */
  send(): void {
    if (this.#flight !== undefined || this.#open.length === 0) return;
    this.#flight = this.#launched(this.#read);
  }

  /**
   * The group arrives. `lost`: it is stored, but nobody tells the process.
   *
   * @returns the requests of the group, if it was stored behind what it was decided on
   */
  land({ lost }: { readonly lost: boolean }): readonly Request[] | undefined {
    const flight = this.#flight;
    if (flight === undefined) return undefined;
    this.#flight = undefined;
    const { requests, pending, body, behind } = flight;
    const isStored = behind === this.#journal.length;
    const { entries } = pending;
    if (isStored && entries.length > 0) this.#journal.append(body, entries.length);
    if (!isStored || lost) {
      const again = requests.filter((request) => !isStored || request.entries === 0);
      const said = requests.map((request) => ({ ...request }));
      this.#takeBack(pending, again);
      return isStored ? said : undefined;
    }
    this.#read = this.#journal.length;
    const point = [...this.#journal.readOn(this.#read - 1)][0]?.point;
    if (point === undefined) throw new Error("the commit is not there");
    // the next group goes on its way before this one is told
    if (this.#open.length > 0) this.#flight = this.#launched(this.#read);
    this.state.confirm(pending, point);
    return requests;
  }

  /** Learns what others wrote, and decides again what was not sent. */
  refresh(): void {
    if (this.#flight === undefined && this.#read < this.#journal.length)
      this.#takeBack(undefined, []);
  }

  #launched(behind: number): Flight {
    const body = joinPieces(this.#pieces, this.state.openEntries.length);
    const flight = { requests: this.#open, pending: this.state.close(), body, behind };
    this.#open = [];
    this.#pieces = [];
    return flight;
  }

  #takeBack(pending: PendingCommit | undefined, first: readonly Request[]): void {
    this.state.rollback(pending === undefined ? [] : [pending]);
    this.#watch?.takenBack(this.state);
    const again = [...first, ...this.#open];
    this.#open = [];
    this.#pieces = [];
    this.#readOn();
    for (const request of again) this.#decide(request);
  }

  #readOn(): void {
    for (const commit of this.#journal.readOn(this.#read)) applyCommit(this.state, commit);
    this.#read = this.#journal.length;
  }

  #decide(request: Request): void {
    const before = this.state.openEntries.length;
    const decided = this.#watch?.deciding(this.state);
    request.now = this.#clock();
    const decidedAt = Math.max(request.now, this.state.decidedAt);
    request.verdicts = this.#verdicts(request, decidedAt);
    const made = this.state.openEntries.slice(before).filter((entry) => entry !== undefined);
    request.entries = made.length;
    if (made.length > 0) this.#pieces.push(packEntries(made));
    this.state.releaseWritten();
    decided?.(request);
    this.#open.push(request);
  }

  #verdicts({ commands, batch }: Request, decidedAt: number): (Done | Refusal)[] {
    const lookups = new Map<string, FoundEntry | undefined>();
    for (;;) {
      try {
        return this.#attempt(commands, batch, lookups, decidedAt).map(verdictOf);
      } catch (error) {
        if (!(error instanceof LookupNeeded)) return [refusalOf(error)];
        lookups.set(error.id, this.#journal.entryAt(error.id));
      }
    }
  }

  #attempt(
    commands: readonly NaiveCommand[],
    batch: Request["batch"],
    lookups: ReadonlyMap<string, FoundEntry | undefined>,
    decidedAt: number,
  ): readonly DecidedItem[] {
    const { idOf } = this.#journal;
    if (batch !== undefined) {
      const asked = batchOf(commands, batch.dryRun, idOf);
      if (asked.kind === "batch") return this.#decider.decideAll(asked, lookups, decidedAt);
    }
    return commands.map((each) => this.#decider.decide(askedOf(each, idOf), lookups, decidedAt));
  }
}

function verdictOf(item: DecidedItem): Done | Refusal {
  if (!("version" in item)) return refusalOf(item.error);
  const { moved, version, replayed }: Decided = item;
  return { version, amounts: moved.map(({ amount }) => amount), replayed };
}
