import type { DrainPolicyName } from "../../src/ledger/account.ts";
import type { HoldInput } from "../../src/ledger/commands.ts";

/** Why the naive ledger refuses: the code of the error that a ledger gives, and what that says of funds. */
export interface Refusal {
  readonly refused: string;
  readonly funds?: readonly [account: string, asset: string, needed: bigint, available: bigint];
}

export class RefusedError extends Error {
  readonly refusal: Refusal;

  constructor(refused: string, funds?: Refusal["funds"]) {
    super(refused);
    this.refusal = funds === undefined ? { refused } : { refused, funds };
  }
}

/** An amount until an instant: milliseconds, Infinity for never. */
export interface Part {
  readonly amount: bigint;
  readonly expiresAt: number;
}

export interface NaiveLot extends Part {
  readonly version: number;
  readonly index: number;
  readonly grantedAt: number;
  readonly reference: string;
  remaining: bigint;
}

export interface NaivePosting extends Part {
  readonly source: string;
  readonly destination: string;
  readonly asset: string;
  /** Of a revert: what was given once and comes back now. */
  readonly restores?: readonly Part[];
}

/** With what it was of its source: debt first, then parts of lots in the order of draining. */
export interface Moved extends NaivePosting {
  readonly given: readonly Part[];
}

/** The transaction that moves. */
export interface Frame {
  readonly version: number;
  readonly at: number;
  readonly decidedAt: number;
  readonly reference?: string | undefined;
  readonly partial?: boolean;
  readonly reverts?: number;
}

export interface NaiveAccount {
  readonly lots: boolean;
  readonly issuer: boolean;
  /** undefined for unlimited. */
  readonly overdraft: bigint | undefined;
  readonly frozen: boolean;
  readonly closed: boolean;
}

export interface NaiveHolding {
  sum: bigint;
  debt: bigint;
  readonly lots: NaiveLot[];
}

export type NaiveHold = HoldInput & { remaining: bigint };

const NO_TERMS = { frozen: false, closed: false };
const WORLD: NaiveAccount = { lots: false, issuer: true, overdraft: undefined, ...NO_TERMS };

/** Accounts, what they hold and what is held of it: lists that are searched from end to end. */
export class NaiveBooks {
  readonly #policy: DrainPolicyName;
  readonly #defaults: Pick<NaiveAccount, "lots" | "overdraft">;
  /** All that changes. */
  data = {
    accounts: new Map<string, NaiveAccount>(),
    holdings: new Map<string, NaiveHolding>(),
    holds: new Map<number, NaiveHold>(),
  };

  constructor(policy: DrainPolicyName, defaults: Pick<NaiveAccount, "lots" | "overdraft">) {
    this.#policy = policy;
    this.#defaults = defaults;
  }

  terms(account: string): NaiveAccount {
    const given = this.data.accounts.get(account);
    return account === "world"
      ? WORLD
      : (given ?? { issuer: false, ...NO_TERMS, ...this.#defaults });
  }

  holding(account: string, asset: string): Readonly<NaiveHolding> {
    return this.data.holdings.get(`${account} ${asset}`) ?? { sum: 0n, debt: 0n, lots: [] };
  }

  /** What was ever moved, or is held, of an account. */
  assets(account: string): string[] {
    const keys = [...this.data.holdings.keys()].map((key) => key.split(" "));
    return keys.flatMap(([name, asset = ""]) => (name === account ? [asset] : []));
  }

  /** All lots that there ever were, in the order in which a policy drains them. */
  lots(account: string, asset: string, policy: DrainPolicyName = this.#policy): NaiveLot[] {
    const byExpiry = policy === "expiration-first@1";
    return [...this.holding(account, asset).lots].sort((one, other) => {
      if (byExpiry && one.expiresAt !== other.expiresAt)
        return one.expiresAt < other.expiresAt ? -1 : 1;
      if (one.grantedAt !== other.grantedAt) return one.grantedAt - other.grantedAt;
      if (one.reference !== other.reference) return one.reference < other.reference ? -1 : 1;
      return one.version - other.version || one.index - other.index;
    });
  }

  /** Unexpired lots less debt. */
  balance(account: string, asset: string, at: number): bigint {
    const { sum, debt, lots } = this.holding(account, asset);
    if (!this.terms(account).lots) return sum;
    return remaining(lots.filter(({ expiresAt }) => expiresAt > at)) - debt;
  }

  held(account: string, asset: string, decidedAt: number): bigint {
    const holds = [...this.data.holds.values()].filter((hold) => hold.from === account);
    const active = holds.filter(({ expiresAt }) => expiresAt.getTime() > decidedAt);
    return remaining(active.filter((hold) => hold.asset === asset));
  }

  /** What can be paid without going below zero. */
  own(account: string, asset: string, { at, decidedAt }: Pick<Frame, "at" | "decidedAt">): bigint {
    const { sum, debt, lots } = this.holding(account, asset);
    const ofLots = remaining(lots.filter((lot) => isDrainable(lot, at))) - debt;
    return (this.terms(account).lots ? ofLots : sum) - this.held(account, asset, decidedAt);
  }

  available(
    account: string,
    asset: string,
    when: Pick<Frame, "at" | "decidedAt">,
  ): bigint | "unlimited" {
    const { issuer, overdraft } = this.terms(account);
    if (issuer || overdraft === undefined) return "unlimited";
    return this.own(account, asset, when) + overdraft;
  }

  assertUsable(account: string): void {
    const { frozen, closed } = this.terms(account);
    if (frozen || closed) throw new RefusedError("account_not_usable");
  }

  /** @returns how much of it is there. */
  assertFunds(
    { source, asset, amount }: Pick<NaivePosting, "source" | "asset" | "amount">,
    frame: Pick<Frame, "at" | "decidedAt" | "partial">,
  ): bigint {
    const available = this.available(source, asset, frame);
    if (available === "unlimited" || amount <= available) return amount;
    if (frame.partial === true) return available > 0n ? available : 0n;
    throw new RefusedError("insufficient_funds", [source, asset, amount, available]);
  }

  /** Holdings are kept from the first entry on that speaks of them, even if it moved nothing. */
  kept(account: string, asset: string): NaiveHolding {
    const holding = this.holding(account, asset);
    this.data.holdings.set(`${account} ${asset}`, holding);
    return holding;
  }

  /** Moves all of it, one posting after the other. A revert finds out afterwards who was short of what. */
  move(postings: readonly NaivePosting[], frame: Frame): Moved[] {
    const { version, at: grantedAt, reference = "" } = frame;
    for (const { source, destination } of postings)
      for (const account of [source, destination]) this.assertUsable(account);
    let index = 0;
    return postings.map((asked) => {
      const amount = frame.reverts === undefined ? this.assertFunds(asked, frame) : asked.amount;
      const posting = { ...asked, amount };
      for (const account of [asked.source, asked.destination]) this.kept(account, asked.asset);
      if (amount === 0n) return { ...posting, given: [] };
      const { given, slices } = this.#take(posting, frame);
      for (const part of this.#give(posting, merged(asked.restores ?? slices), frame)) {
        const made = { version, index: index++, grantedAt, reference, ...part };
        this.kept(asked.destination, asked.asset).lots.push({ ...made, remaining: part.amount });
      }
      if (this.#isDrained(asked.source, frame)) index++;
      return { ...posting, given };
    });
  }

  /** Takes an amount of lots in their order, and what they do not cover as debt. */
  #take({ source, asset, amount, expiresAt }: NaivePosting, frame: Frame) {
    const from = this.kept(source, asset);
    from.sum -= amount;
    const taken: Part[] = [];
    const lots = this.#isDrained(source, frame) ? this.lots(source, asset) : [];
    const preferred = lots.filter(({ version }) => version === frame.reverts);
    for (const lot of [...preferred, ...lots].filter((lot) => isDrainable(lot, frame.at))) {
      const part = least(lot.remaining, amount - sum(taken));
      lot.remaining -= part;
      taken.push({ amount: part, expiresAt: lot.expiresAt });
    }
    const borrowed = amount - sum(taken);
    if (this.terms(source).lots) from.debt += borrowed;
    const sooner = taken.map((part) => {
      return { ...part, expiresAt: Math.min(part.expiresAt, expiresAt) };
    });
    return {
      given: [{ amount: borrowed, expiresAt: Infinity }, ...taken],
      slices: [...sooner, { amount: borrowed, expiresAt }],
    };
  }

  /** Gives it to whom it is for: what has not expired repays debt. @returns what becomes lots */
  #give({ destination, asset, amount }: NaivePosting, slices: readonly Part[], { at }: Frame) {
    const to = this.kept(destination, asset);
    to.sum += amount;
    if (!this.terms(destination).lots) return [];
    return slices.flatMap(({ amount: offered, expiresAt }): Part[] => {
      const repays = expiresAt > at ? least(offered, to.debt) : 0n;
      to.debt -= repays;
      return repays === offered ? [] : [{ amount: offered - repays, expiresAt }];
    });
  }

  /** What `world` and issuers pay is new, unless a revert takes it back. */
  #isDrained(account: string, { reverts }: Frame): boolean {
    const { lots, issuer } = this.terms(account);
    return lots && (!issuer || reverts !== undefined);
  }
}

function isDrainable({ grantedAt, expiresAt }: NaiveLot, at: number): boolean {
  return grantedAt <= at && expiresAt > at;
}

/** Parts that follow each other and expire together are one. */
function merged(parts: readonly Part[]): Part[] {
  const all: Part[] = [];
  for (const part of parts.filter(({ amount }) => amount > 0n)) {
    const last = all.at(-1);
    if (last?.expiresAt !== part.expiresAt) all.push(part);
    else all[all.length - 1] = { ...part, amount: last.amount + part.amount };
  }
  return all;
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

function sum(parts: readonly Part[]): bigint {
  return parts.reduce((all, { amount }) => all + amount, 0n);
}

function remaining(all: readonly { readonly remaining: bigint }[]): bigint {
  return all.reduce((left, each) => left + each.remaining, 0n);
}
