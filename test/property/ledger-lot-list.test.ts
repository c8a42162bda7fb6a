import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DRAIN_POLICIES } from "../../src/ledger/account.ts";
import { type DrainOrder, drainOrder } from "../../src/ledger/drain-order.ts";
import { type Grant, type Lot, LotList, type Taking } from "../../src/ledger/lot-list.ts";

/** The same rules over a plain array, by the letter of L3, L4 and L5. */
class NaiveLots {
  lots: Lot[] = [];

  insert(lots: readonly Lot[], order: DrainOrder): void {
    this.lots = [...this.lots, ...lots].sort((left, right) => order(left.grant, right.grant));
  }

  spendable(at: number): bigint {
    return sum(this.lots.filter(({ grant }) => drainable(grant, at)));
  }

  unexpired(at: number): bigint {
    return sum(this.lots.filter(({ grant }) => (grant.expiresAt ?? at + 1) > at));
  }

  take(amount: bigint, at: number, prefer: (grant: Grant) => boolean) {
    const candidates = this.lots.filter(({ grant }) => drainable(grant, at));
    const taken: { grant: Grant; amount: bigint }[] = [];
    let missing = amount;
    for (const lot of [
      ...candidates.filter(({ grant }) => prefer(grant)),
      ...candidates.filter(({ grant }) => !prefer(grant)),
    ]) {
      const portion = lot.remaining < missing ? lot.remaining : missing;
      if (portion === 0n) continue;
      missing -= portion;
      taken.push({ grant: lot.grant, amount: portion });
      this.#reduce(lot.grant, portion);
    }
    return { taken, missing };
  }

  remove(grant: Grant, amount: bigint): void {
    this.#reduce(grant, amount);
  }

  #reduce(grant: Grant, by: bigint): void {
    this.lots = this.lots
      .map((lot) => (lot.grant === grant ? { grant, remaining: lot.remaining - by } : lot))
      .filter(({ remaining }) => remaining > 0n);
  }
}

function drainable({ grantedAt, expiresAt }: Grant, at: number): boolean {
  return grantedAt <= at && (expiresAt === null || expiresAt > at);
}

function sum(lots: readonly Lot[]): bigint {
  return lots.reduce((total, lot) => total + lot.remaining, 0n);
}

const instant = fc.integer({ min: 0, max: 40 });
const amount = fc.oneof(fc.bigInt(1n, 30n), fc.bigInt(2n ** 53n, 2n ** 70n));
const reference = fc.constantFrom("", "a", "B", "é", "\u{1F600}", "\uFFFD");

type Command =
  | {
      readonly does: "insert";
      readonly grants: readonly (readonly [number, number | null, string, bigint])[];
    }
  | {
      readonly does: "take";
      readonly amount: bigint;
      readonly at: number;
      readonly prefers: number;
    }
  | {
      readonly does: "take share";
      readonly percent: bigint;
      readonly at: number;
      readonly prefers: number;
    }
  | { readonly does: "remove"; readonly place: number; readonly wholly: boolean };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant("insert" as const),
      grants: fc.array(fc.tuple(instant, fc.option(instant, { freq: 3 }), reference, amount), {
        minLength: 1,
        maxLength: 150,
        size: "max",
      }),
    }),
  },
  fc.record({ does: fc.constant("take" as const), amount, at: instant, prefers: fc.nat(3) }),
  fc.record({
    does: fc.constant("take share" as const),
    percent: fc.bigInt(0n, 110n),
    at: instant,
    prefers: fc.nat(3),
  }),
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant("remove" as const),
      place: fc.nat(5_000),
      wholly: fc.boolean(),
    }),
  },
);

/** 0 prefers nothing special; else one grant in two or three. */
function preference(prefers: number): ((grant: Grant) => boolean) | undefined {
  return prefers === 0 ? undefined : (grant) => grant.version % (prefers + 1) === 0;
}

/** What a take reported. */
type Took = Pick<Taking, "taken" | "missing"> | undefined;

class Subject {
  list = LotList.empty;
  took: Took;
  shouldHaveTaken: Took;
  readonly model = new NaiveLots();
  readonly order: DrainOrder;
  #version = 0;

  constructor(order: DrainOrder) {
    this.order = order;
  }

  run(step: Command): void {
    switch (step.does) {
      case "insert": {
        const arrived: Lot[] = [];
        const commit = { position: 0, firstVersion: this.#version + 1 };
        for (const [grantedAt, expiresAt, reference, amount] of step.grants) {
          // Several lots of one transaction, too.
          const version = (this.#version += this.#version % 3 === 0 ? 2 : 1);
          for (let lotIndex = 0; lotIndex <= version % 2; lotIndex++) {
            const grant = { version, lotIndex, grantedAt, expiresAt, reference, amount, commit };
            arrived.push({ grant, remaining: amount });
            this.list = this.list.insert({ grant, remaining: amount }, this.order);
          }
        }
        this.model.insert(arrived, this.order);
        return;
      }
      case "take share":
        return this.#take((this.list.total * step.percent) / 100n, step.at, step.prefers);
      case "take":
        return this.#take(step.amount, step.at, step.prefers);
      case "remove": {
        const lot = this.model.lots[step.place % Math.max(this.model.lots.length, 1)];
        if (lot === undefined) return;
        const { version, lotIndex } = lot.grant;
        const amount = step.wholly || lot.remaining === 1n ? lot.remaining : lot.remaining / 2n;
        this.list = this.list.remove(version, lotIndex, amount);
        this.model.remove(lot.grant, amount);
        return;
      }
      default:
        step satisfies never;
    }
  }

  #take(amount: bigint, at: number, prefers: number): void {
    const prefer = preference(prefers);
    const { list, taken, missing } = this.list.take(amount, at, prefer);
    this.list = list;
    this.took = { taken, missing };
    this.shouldHaveTaken = this.model.take(amount, at, prefer ?? (() => true));
  }
}

/** Compares faster than lots do. */
function textOf(lots: Iterable<Lot>): string {
  return Array.from(
    lots,
    ({ grant, remaining }) => `${grant.version}.${grant.lotIndex}:${remaining}`,
  ).join();
}

function expectSame({ list, model, took, shouldHaveTaken }: Subject): void {
  expect(took).toEqual(shouldHaveTaken);
  expect(textOf(list)).toBe(textOf(model.lots));
  expect(list.size).toBe(model.lots.length);
  expect(list.total).toBe(sum(model.lots));
  for (const at of [-1, 0, 7, 20, 39, 40, 41]) {
    expect(list.spendable(at)).toBe(model.spendable(at));
    expect(list.unexpired(at)).toBe(model.unexpired(at));
  }
}

describe.each(DRAIN_POLICIES)("a list of lots under %s", (policy) => {
  it("L3-L5 holds, drains and sums the same lots as a plain array", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30, size: "max" }), (steps) => {
        const subject = new Subject(drainOrder(policy));
        for (const step of steps) {
          subject.run(step);
          expectSame(subject);
        }
      }),
      { numRuns: 60, interruptAfterTimeLimit: 30_000 },
    );
  });

  it("tells what has not expired as time goes on", () => {
    const timed = fc.tuple(command, fc.nat(3));
    fc.assert(
      fc.property(fc.array(timed, { maxLength: 30, size: "max" }), (steps) => {
        const subject = new Subject(drainOrder(policy));
        let now = 5;
        for (const [step, passed] of steps) {
          now += passed;
          subject.run("at" in step ? { ...step, at: now } : step);
          const { list, model } = subject;
          expect(list.unexpired(now)).toBe(model.unexpired(now));
          expect(list.spendable(now)).toBe(model.spendable(now));
          // Looking back changes nothing.
          expect(list.unexpired(now - 4)).toBe(model.unexpired(now - 4));
          expect(list.unexpired(now)).toBe(model.unexpired(now));
        }
      }),
      { numRuns: 100, interruptAfterTimeLimit: 30_000 },
    );
  });

  it("keeps every earlier list as it was", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 12, size: "max" }), (steps) => {
        const subject = new Subject(drainOrder(policy));
        const kept: { list: LotList; lots: readonly Lot[]; spendable: bigint }[] = [];
        for (const step of steps) {
          const { list } = subject;
          kept.push({ list, lots: [...list], spendable: list.spendable(20) });
          subject.run(step);
        }
        for (const { list, lots, spendable } of kept) {
          expect(textOf(list)).toBe(textOf(lots));
          expect(list.spendable(20)).toBe(spendable);
        }
      }),
      { numRuns: 40, interruptAfterTimeLimit: 30_000 },
    );
  });

  it("L14 comes to the same lots by replaying what was taken", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 12, size: "max" }), instant, (steps, at) => {
        const subject = new Subject(drainOrder(policy));
        for (const step of steps) subject.run(step);
        const { list, taken } = subject.list.take(subject.list.total / 2n, at, preference(2));
        let replayed = subject.list;
        for (const { grant, amount } of taken) {
          replayed = replayed.remove(grant.version, grant.lotIndex, amount);
        }
        expect(textOf(replayed)).toBe(textOf(list));
        expect(replayed.total).toBe(list.total);
      }),
      { numRuns: 40, interruptAfterTimeLimit: 30_000 },
    );
  });
});
