import type { AccountOptions, DrainPolicyName } from "../../src/ledger/account.ts";
import type {
  CaptureOptions,
  CommandOptions,
  HoldInput,
  RevertOptions,
} from "../../src/ledger/commands.ts";
import {
  type Moved,
  NaiveBooks,
  type NaiveAccount,
  type NaiveHold,
  type NaivePosting,
  type Refusal,
  RefusedError,
} from "./naive-books.ts";
import { contentOf, type NaiveCommand, postOf, referenceOf } from "./naive-commands.ts";

/** What the naive ledger makes of a command. */
export interface Done {
  readonly version: number;
  readonly amounts: readonly bigint[];
  readonly replayed: boolean;
}

interface Entry {
  readonly kind: "posted" | "hold" | "other";
  readonly at: number;
  readonly moved: readonly Moved[];
}

/** Books that keep what is held, as of whatever instant somebody asks for funds. */
class HoldingBooks extends NaiveBooks {
  override assertFunds(
    asked: Parameters<NaiveBooks["assertFunds"]>[0],
    frame: Parameters<NaiveBooks["assertFunds"]>[1],
  ): bigint {
    const { source, asset, amount } = asked;
    const there = this.available(source, asset, frame);
    const most = this.#besideHolds(source, asset, frame);
    if (there === "unlimited" || there <= 0n || most >= there || amount <= most)
      return super.assertFunds(asked, frame);
    if (frame.partial === true) return most > 0n ? most : 0n;
    throw new RefusedError("insufficient_funds", [source, asset, amount, most]);
  }

  /** For a hold: what can be held of an account must be there now. */
  assertHoldable(
    asked: Parameters<NaiveBooks["assertFunds"]>[0],
    frame: Parameters<NaiveBooks["assertFunds"]>[1],
  ): void {
    const { source, asset, amount } = asked;
    const available = this.available(source, asset, frame);
    const { overdraft = 0n } = this.terms(source);
    const left = this.left(source, asset, frame.decidedAt) + overdraft;
    if (available === "unlimited" || left >= available || amount <= left)
      super.assertFunds(asked, frame);
    else throw new RefusedError("insufficient_funds", [source, asset, amount, left]);
  }

  /** What is there beyond what is held; below 0 where that is not all there. */
  left(account: string, asset: string, decidedAt: number): bigint {
    return this.balance(account, asset, decidedAt) - this.held(account, asset, decidedAt);
  }

  /** Lots that have expired by now cover no hold: they can be taken whenever they could be taken. */
  #besideHolds(
    account: string,
    asset: string,
    { at, decidedAt }: { readonly at: number; readonly decidedAt: number },
  ): bigint {
    const { lots: keepsLots, overdraft = 0n } = this.terms(account);
    const left = this.left(account, asset, decidedAt) + overdraft;
    if (!keepsLots || this.held(account, asset, decidedAt) === 0n)
      return this.own(account, asset, { at, decidedAt }) + overdraft;
    if (left < 0n) return left;
    let [taken, ofLive] = [0n, 0n];
    for (const { grantedAt, expiresAt, remaining } of this.lots(account, asset)) {
      if (grantedAt > at || expiresAt <= at) continue;
      const isLive = expiresAt > decidedAt;
      if (isLive && ofLive + remaining > left) return taken + left - ofLive;
      if (isLive) ofLive += remaining;
      taken += remaining;
    }
    return taken + left - ofLive;
  }
}

/** A ledger by the letter of its rules, with a copy of everything to go back to. */
export class NaiveLedger {
  readonly books: HoldingBooks;
  /** All that changes beside the books. The first entry is the one that opens the ledger. */
  #log = {
    entries: [{ kind: "other", at: 0, moved: [] }] as Entry[],
    reverted: new Set<number>(),
    metadata: new Map<string | number, Record<string, unknown>>(),
    done: new Map<string, { readonly content: string; readonly done: Done }>(),
    decidedAt: 0,
  };

  constructor(policy: DrainPolicyName, defaults: Pick<NaiveAccount, "lots" | "overdraft">) {
    this.books = new HoldingBooks(policy, defaults);
  }

  get version(): number {
    return this.#log.entries.length;
  }

  get decidedAt(): number {
    return this.#log.decidedAt;
  }

  /** Numbers of the entries of a kind. */
  versions(kind: Entry["kind"]): number[] {
    return this.#log.entries.flatMap((entry, at) => (entry.kind === kind ? [at + 1] : []));
  }

  /** What was said of an account, a transaction or a hold since it is there. */
  metadata(of: string | number): Readonly<Record<string, unknown>> {
    return this.#log.metadata.get(of) ?? {};
  }

  /** Does a command in full, or not at all. */
  run(command: NaiveCommand, now: number): Done | Refusal {
    return this.#allOrNothing(command.options.dryRun === true, () => this.#once(command, now));
  }

  /** Does all of them, or none; then the first one that is refused says why. */
  runAll(commands: readonly NaiveCommand[], now: number, dryRun: boolean): (Done | Refusal)[] {
    let reached = 0;
    const done = this.#allOrNothing(dryRun, () =>
      commands.map((command, at) => {
        reached = at;
        return this.#once(command, now);
      }),
    );
    if (!("refused" in done)) return done;
    return commands.map((_, at) => (at === reached ? done : { refused: "batch_refused" }));
  }

  /** What goes back to what {@link save} saved. */
  save(): () => void {
    const before = structuredClone({ log: this.#log, data: this.books.data });
    return () => {
      this.#log = before.log;
      this.books.data = before.data;
    };
  }

  #allOrNothing<Result>(dryRun: boolean, work: () => Result): Result | Refusal {
    const undo = this.save();
    try {
      const done = work();
      if (dryRun) undo();
      return done;
    } catch (error) {
      undo();
      if (error instanceof RefusedError) return error.refusal;
      throw error;
    }
  }

  /** A key or a reference that is known already gives the first result. */
  #once(command: NaiveCommand, now: number): Done {
    const { done } = this.#log;
    const content = contentOf(command);
    const { idempotencyKey: key, expect } = command.options;
    const reference = referenceOf(command);
    for (const [name, conflict] of [
      [`key ${key}`, "idempotency_conflict"],
      [`reference ${reference}`, "duplicate_reference"],
    ] as const) {
      const first = done.get(name);
      if (first !== undefined && first.content !== content) throw new RefusedError(conflict);
      if (first !== undefined) return { ...first.done, replayed: true };
    }
    if ((expect?.version ?? this.version) !== this.version)
      throw new RefusedError("precondition_failed");
    const decidedAt = Math.max(now, this.decidedAt);
    const entry = this.#decide(command, decidedAt);
    this.#log.entries.push(entry);
    this.#log.decidedAt = decidedAt;
    const amounts = entry.moved.map(({ amount }) => amount);
    const result = { version: this.version, amounts, replayed: false };
    if (key !== undefined) done.set(`key ${key}`, { content, done: result });
    if (reference !== undefined) done.set(`reference ${reference}`, { content, done: result });
    return result;
  }

  #decide(command: NaiveCommand, decidedAt: number): Entry {
    switch (command.does) {
      case "revert":
        return this.#revert(command.target, command.options, decidedAt);
      case "hold":
        return this.#hold(command.input, command.options, decidedAt);
      case "capture":
        return this.#capture(command.hold, command.amount, command.options, decidedAt);
      case "release":
        this.#activeHold(command.hold, decidedAt).remaining = 0n;
        return { kind: "other", at: decidedAt, moved: [] };
      case "account":
        return this.#change(command.account, command.change, decidedAt);
      case "metadata":
        return this.#describe(command.of, command.set, command.deleted, decidedAt);
      default: {
        const { input, options } = postOf(command);
        const { reference } = input;
        const at = input.at?.getTime() ?? decidedAt;
        const partial = options.onShortfall === "partial";
        const postings = input.postings.map((each) => ({ ...each, expiresAt: endOf(each) }));
        this.#expect(options, at);
        return this.#move(postings, { at, decidedAt, reference, partial });
      }
    }
  }

  #revert(target: number, options: RevertOptions, decidedAt: number): Entry {
    const original = this.#log.entries[target - 1];
    if (original?.kind !== "posted") throw new RefusedError("transaction_not_found");
    if (this.#log.reverted.has(target)) throw new RefusedError("already_reverted");
    const postings = original.moved
      .filter(({ amount }) => amount > 0n)
      .map(({ source, destination, asset, amount, given }): NaivePosting => {
        const swapped = { source: destination, destination: source };
        return { ...swapped, asset, amount, expiresAt: Infinity, restores: given };
      })
      .reverse();
    if (postings.length === 0) throw new RefusedError("precondition_failed");
    const { reference, force = false } = options;
    const at = options.atEffectiveDate === true ? original.at : decidedAt;
    this.#expect(options, at);
    const entry = this.#move(postings, { at, decidedAt, reference, reverts: target });
    for (const { source, asset } of postings) {
      if (force || source === "world") continue;
      const isHeld = this.books.held(source, asset, decidedAt) > 0n;
      const isShort = isHeld && this.books.left(source, asset, decidedAt) < 0n;
      if (isShort || this.books.own(source, asset, { at, decidedAt }) < 0n)
        throw new RefusedError("insufficient_funds");
    }
    this.#log.reverted.add(target);
    return entry;
  }

  #hold(input: HoldInput, options: CommandOptions, decidedAt: number): Entry {
    const { from, asset, amount } = input;
    const at = input.at?.getTime() ?? decidedAt;
    if (endOf(input) <= decidedAt) throw new RefusedError("invalid_argument");
    this.#expect(options, at);
    this.books.assertUsable(from);
    this.books.assertHoldable({ source: from, asset, amount }, { at, decidedAt });
    this.books.kept(from, asset);
    this.books.data.holds.set(this.version + 1, { ...input, remaining: amount });
    return { kind: "hold", at, moved: [] };
  }

  #capture(id: number, asked: bigint | undefined, how: CaptureOptions, decidedAt: number): Entry {
    const hold = this.#activeHold(id, decidedAt);
    const { from: source, asset } = hold;
    const { reference, final = true } = how;
    const at = how.at?.getTime() ?? decidedAt;
    const amount = asked ?? hold.remaining;
    const destination = how.to ?? hold.to ?? "world";
    if (amount > hold.remaining) throw new RefusedError("hold_exceeded");
    if (destination === source) throw new RefusedError("invalid_argument");
    this.#expect(how, at);
    hold.remaining = final ? 0n : hold.remaining - amount;
    const posting = { source, destination, asset, amount, expiresAt: endOf(how) };
    return this.#move([posting], { at, decidedAt, reference });
  }

  #change(name: string, change: AccountOptions, decidedAt: number): Entry {
    const { books } = this;
    const before = books.terms(name);
    const { lots = before.lots, issuer = before.issuer, frozen = before.frozen } = change;
    const { closed = false, overdraft = before.overdraft } = change;
    if (before.closed) throw new RefusedError("account_not_usable");
    const assets = books.assets(name);
    if (assets.length > 0 && (lots !== before.lots || issuer !== before.issuer))
      throw new RefusedError("account_options");
    const isEmpty = (asset: string): boolean =>
      books.balance(name, asset, decidedAt) === 0n &&
      books.holding(name, asset).debt === 0n &&
      books.held(name, asset, decidedAt) === 0n;
    if (closed && !assets.every(isEmpty)) throw new RefusedError("account_options");
    const limit = overdraft === "unlimited" ? undefined : overdraft;
    books.data.accounts.set(name, { lots, issuer, frozen, closed, overdraft: limit });
    return { kind: "other", at: decidedAt, moved: [] };
  }

  #describe(
    of: string | number,
    set: Readonly<Record<string, unknown>>,
    deleted: readonly string[],
    decidedAt: number,
  ): Entry {
    const kind = typeof of === "number" ? this.#log.entries[of - 1]?.kind : "account";
    if (kind === undefined || kind === "other") throw new RefusedError("transaction_not_found");
    const said = Object.entries({ ...this.metadata(of), ...set });
    const left = said.filter(([key]) => !deleted.includes(key));
    this.#log.metadata.set(of, Object.fromEntries(left));
    return { kind: "other", at: decidedAt, moved: [] };
  }

  #move(
    postings: readonly NaivePosting[],
    frame: Omit<Parameters<NaiveBooks["move"]>[1], "version">,
  ): Entry {
    const moved = this.books.move(postings, { version: this.version + 1, ...frame });
    return { kind: "posted", at: frame.at, moved };
  }

  #activeHold(id: number, decidedAt: number): NaiveHold {
    const hold = this.books.data.holds.get(id);
    if (hold === undefined) throw new RefusedError("hold_not_found");
    if (hold.remaining > 0n && endOf(hold) > decidedAt) return hold;
    throw new RefusedError("hold_ended");
  }

  #expect({ expect }: CommandOptions, at: number): void {
    for (const { account, asset, gte } of [expect?.balance ?? []].flat())
      if (this.books.balance(account, asset, at) < gte)
        throw new RefusedError("precondition_failed");
  }
}

function endOf({ expiresAt }: { readonly expiresAt?: Date | null | undefined }): number {
  return expiresAt?.getTime() ?? Infinity;
}
