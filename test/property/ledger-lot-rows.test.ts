import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DRAIN_POLICIES, type DrainPolicyName } from "../../src/ledger/account.ts";
import type { Holding } from "../../src/ledger/holding.ts";
import { type AskedBatch, type AskedSingle, preparePost } from "../../src/ledger/prepare.ts";
import {
  prepareAccountChange,
  prepareCapture,
  prepareHold,
  prepareRelease,
  prepareRevert,
} from "../../src/ledger/prepare-more.ts";
import { idOf, LedgerState, type PendingCommit } from "../../src/ledger/state.ts";
import { decodeState, encodeState } from "../../src/ledger/state-image.ts";
import {
  applyEntries,
  DecidingLedger,
  openedWithLots,
  pointAt,
} from "../support/deciding-ledger.ts";

const ASSET = "CREDIT/2";
const EDGE = BigInt(Number.MAX_SAFE_INTEGER);
const START = 1_000;
const NAMES = ["a", "b", "owing", "issuer", "sum", "world"];
const INSTANTS = [START - 5, START, START + 3, START + 12, START + 60, START + 5_000];

function textOf(holding: Holding | undefined): string {
  if (holding === undefined) return "-";
  const { balance, debt, lots, holds } = holding;
  const each = Array.from(lots ?? [], ({ grant, remaining }) => {
    const { version, lotIndex, amount, grantedAt, expiresAt, reference, commit } = grant;
    const of = `${amount} ${grantedAt}-${expiresAt} ${reference} ${commit.firstVersion}`;
    return `${version}.${lotIndex}:${remaining} of ${of}`;
  });
  const held = holds.map(({ version, remaining }) => `${version}:${remaining}`);
  const sums = INSTANTS.map((at) => `${holding.balanceAt(at)}/${holding.spendable(at, at)}`);
  return [balance, debt, each.join(","), held.join(","), sums.join()].join(" | ");
}

/** All that is known of all holdings, in both versions. */
function picture({ books }: LedgerState): string[] {
  const lines: string[] = [];
  for (const { name, holdings } of books.accounts.values()) {
    for (const cell of holdings) {
      const { value, confirmed } = cell;
      lines.push(`${name} decided ${textOf(value)}`, `${name} told ${textOf(confirmed)}`);
      // what is read without making a holding of it
      for (const at of INSTANTS) {
        expect(cell.balanceAt(at)).toBe(value.balanceAt(at));
        expect(cell.confirmedAt(at)).toBe(confirmed?.balanceAt(at));
        expect(cell.confirmedSpendable(at, at)).toBe(confirmed?.spendable(at, at));
      }
    }
  }
  return lines.sort();
}

function told(state: LedgerState): string[] {
  return picture(state).filter((line) => line.includes(" told ") && !line.endsWith(" told -"));
}

interface Post {
  readonly postings: readonly {
    readonly way: readonly [number, number];
    readonly amount: bigint;
    readonly lasts: number | null;
  }[];
  readonly ago: number | null;
  readonly partial: boolean;
  readonly dryRun: boolean;
  readonly reference: string | null;
}

type Step =
  | { readonly does: "post"; readonly post: Post }
  | { readonly does: "batch"; readonly posts: readonly Post[]; readonly dryRun: boolean }
  | { readonly does: "hold"; readonly amount: bigint; readonly lasts: number }
  | { readonly does: "capture" | "release" | "revert"; readonly which: number }
  | { readonly does: "wait"; readonly ms: number }
  | { readonly does: "send" | "land" | "lose" };

const amount = fc.oneof(
  { weight: 9, arbitrary: fc.bigInt(1n, 40n) },
  { weight: 1, arbitrary: fc.bigInt(EDGE - 2n, EDGE + 2n) },
);
const way = fc
  .tuple(fc.nat(NAMES.length - 1), fc.nat(NAMES.length - 1))
  .filter(([from, to]) => from !== to);
const lasts = fc.option(fc.integer({ min: -3, max: 30 }), { freq: 3 });
const posting = fc.record({ way, amount, lasts });
/** Of one of very many postings: an account gets more lots than stand in rows. */
const many = fc.record({ way: fc.constantFrom([5, 0] as const, [0, 1] as const), amount, lasts });
const post: fc.Arbitrary<Post> = fc.record({
  postings: fc.oneof(
    { weight: 20, arbitrary: fc.array(posting, { minLength: 1, maxLength: 3 }) },
    { weight: 1, arbitrary: fc.array(many, { minLength: 90, maxLength: 110 }) },
  ),
  ago: fc.option(fc.integer({ min: -20, max: 20 }), { freq: 2 }),
  partial: fc.boolean(),
  dryRun: fc.nat(9).map((n) => n === 0),
  reference: fc.option(fc.constantFrom("B", "a", "é"), { freq: 2 }),
});
const which = fc.nat(100);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ does: fc.constant("post" as const), post }) },
  fc.record({
    does: fc.constant("batch" as const),
    posts: fc.array(post, { minLength: 1, maxLength: 3 }),
    dryRun: fc.boolean(),
  }),
  fc.record({ does: fc.constant("hold" as const), amount, lasts: fc.nat(20).map((n) => n + 1) }),
  fc.record({ does: fc.constantFrom("capture" as const, "release", "revert"), which }),
  fc.record({ does: fc.constant("wait" as const), ms: fc.nat(15) }),
  { weight: 4, arbitrary: fc.record({ does: fc.constantFrom("send" as const, "land") }) },
  fc.record({ does: fc.constant("lose" as const) }),
);

/** The same commands, decided with lots in rows and with whole holdings, and read again by a third. */
class Race {
  readonly rows: DecidingLedger;
  readonly whole: DecidingLedger;
  readonly reader: LedgerState = new LedgerState();
  /** Of the last command. */
  outcomes: readonly [rows: unknown, whole: unknown] = [undefined, undefined];
  #now = START;
  #count = 0;
  #position = 1;
  /** Groups that were closed and are on their way: of the one side, and of the other. */
  #sent: [rows: PendingCommit, whole: PendingCommit] | undefined;
  readonly #holds: string[] = [];
  readonly #posted: string[] = [];

  constructor(policy: DrainPolicyName) {
    this.rows = new DecidingLedger(policy);
    this.whole = new DecidingLedger(policy, "whole");
    applyEntries(this.reader, [openedWithLots(policy)], pointAt(1, 1));
    this.#decide(prepareAccountChange("owing", { overdraft: 60n }, {}));
    this.#decide(prepareAccountChange("issuer", { issuer: true }, {}));
    this.#decide(prepareAccountChange("sum", { lots: false }, {}));
    this.run({ does: "land" });
  }

  run(step: Step): void {
    switch (step.does) {
      case "post":
        return this.#decide(this.#post(step.post, step.post.dryRun));
      case "batch": {
        const options = { key: undefined, expect: undefined, dryRun: step.dryRun };
        const posts = step.posts.map((one) => this.#post(one, false));
        return this.#decide({ kind: "batch", options, posts });
      }
      case "hold": {
        const { amount: held, lasts: ms } = step;
        const expiresAt = new Date(this.#now + ms);
        const input = { from: "a", to: "b", asset: ASSET, amount: held, expiresAt };
        return this.#decide(prepareHold(input, {}));
      }
      case "wait":
        this.#now += step.ms;
        return;
      case "send":
        return this.#send();
      case "land":
        return this.#land();
      case "lose":
        this.rows.rollback(this.#sent === undefined ? [] : [this.#sent[0]]);
        this.whole.rollback(this.#sent === undefined ? [] : [this.#sent[1]]);
        this.#sent = undefined;
        return;
      default:
        return this.#refer(step.does, step.which);
    }
  }

  #refer(does: "capture" | "release" | "revert", which: number): void {
    const ids = does === "revert" ? this.#posted : this.#holds;
    const id = ids[which % Math.max(ids.length, 1)];
    if (id === undefined) return;
    if (does === "capture") this.#decide(prepareCapture(id, undefined, {}));
    else if (does === "release") this.#decide(prepareRelease(id, {}));
    else
      this.#decide(prepareRevert(id, { force: which % 2 === 0, atEffectiveDate: which % 3 === 0 }));
  }

  #post({ postings, ago, partial, reference }: Post, dryRun: boolean) {
    const number = ++this.#count;
    return preparePost(
      {
        postings: postings.map(({ way: [from, to], amount: of, lasts: ms }) => ({
          source: NAMES[from] ?? "",
          destination: NAMES[to] ?? "",
          asset: ASSET,
          amount: of,
          expiresAt: ms === null ? undefined : new Date(this.#now + ms),
        })),
        at: ago === null ? undefined : new Date(this.#now - ago),
        reference: reference === null ? undefined : `${reference}${number}`,
      },
      { onShortfall: partial ? "partial" : "reject", dryRun },
    );
  }

  #decide(asked: AskedSingle | AskedBatch): void {
    this.outcomes = [this.rows.decide(asked, this.#now), this.whole.decide(asked, this.#now)];
  }

  #send(): void {
    if (this.#sent === undefined) this.#sent = [this.rows.state.close(), this.whole.state.close()];
  }

  /** As the engine does: the next group is sent before the last one is confirmed. */
  #land(): void {
    const sent = this.#sent;
    if (sent === undefined) return this.#send();
    this.#sent = undefined;
    if (this.#count % 2 === 0) this.#send();
    const position = ++this.#position;
    this.whole.confirm(sent[1], position);
    const entries = this.rows.confirm(sent[0], position);
    entries.forEach(({ kind }, index) => {
      const id = idOf({ position, index });
      if (kind === "hold-placed") this.#holds.push(id);
      else if (kind === "posted") this.#posted.push(id);
    });
    applyEntries(this.reader, entries, this.rows.state.point);
  }
}

describe.each(DRAIN_POLICIES)("lots in rows under %s", (policy) => {
  it("L3-L5 L14 come to what whole holdings come to, decided, taken back, told and read again", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
        const race = new Race(policy);
        for (const each of steps) {
          race.run(each);
          const [found, expected] = race.outcomes;
          expect(found).toEqual(expected);
          expect(picture(race.rows.state)).toEqual(picture(race.whole.state));
          expect(told(race.reader)).toEqual(told(race.rows.state));
        }
      }),
      { numRuns: 80, interruptAfterTimeLimit: 40_000 },
    );
  });

  it("are the same after an image, which nothing changes that comes behind it", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25, size: "max" }),
        fc.array(step, { maxLength: 10 }),
        async (steps, behind) => {
          const race = new Race(policy);
          for (const each of steps) race.run(each);
          const expected = told(race.rows.state);
          const image = encodeState(race.rows.state);
          for (const each of [...behind, { does: "land" } as const]) race.run(each);
          expect(told(await decodeState(image))).toEqual(expected);
        },
      ),
      { numRuns: 60, interruptAfterTimeLimit: 30_000 },
    );
  });
});
