import assert from "node:assert/strict";
import { inspect } from "node:util";
import fc from "fast-check";
import { resultOf } from "../../src/internal/result-of.ts";
import { DRAIN_POLICIES, type DrainPolicyName } from "../../src/ledger/account.ts";
import { decodeStateInSteps, encodeState } from "../../src/ledger/state-image.ts";
import { fundsOf } from "./ledger-dump.ts";
import { LedgerProcess, MemoryJournal, type ProcessWatch, type Request } from "./ledger-process.ts";
import { commands, type Draft, OPENED, postings } from "./ledger-script.ts";
import type { Refusal } from "./naive-books.ts";
import { varied } from "./ledger-variants.ts";
import { type NaiveCommand, referenceOf } from "./naive-commands.ts";
import { type Done, NaiveLedger } from "./naive-ledger.ts";

/** What a ledger is created with. */
export interface WorldSettings {
  readonly drainPolicy: DrainPolicyName;
  readonly lots: boolean;
  readonly overdraft: bigint | undefined;
}

/** What happens next, and to which process. */
export type Step =
  | {
      readonly kind: "command";
      readonly who: number;
      readonly draft: Draft;
      /** Whether it is waited for. */
      readonly wait: boolean;
    }
  | {
      readonly kind: "again";
      readonly who: number;
      readonly pick: number;
      /** Which of its variants, if it is not the same. */
      readonly variant: number | undefined;
    }
  | {
      readonly kind: "batch";
      readonly who: number;
      readonly drafts: readonly Draft[];
      readonly dryRun: boolean;
    }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "send" | "refresh"; readonly who: number }
  | {
      readonly kind: "crash";
      readonly who: number;
      /** Whether the next one begins with the last image of the state. */
      readonly image: boolean;
    }
  | { readonly kind: "land"; readonly who: number; readonly lost: boolean };

const who = fc.nat(1);
const variant = fc.option(fc.nat(20), { nil: undefined });
const kind = <Kind extends string>(kind: Kind) => fc.constant(kind);

export const settings: fc.Arbitrary<WorldSettings> = fc.record({
  drainPolicy: fc.constantFrom(...DRAIN_POLICIES),
  lots: fc.constantFrom(true, true, true, false),
  overdraft: fc.constantFrom(0n, 0n, 0n, 15n, undefined),
});

/** What may happen to a process that is alone, or one of two. */
export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 30,
      arbitrary: fc.record({ kind: kind("command"), who, draft: commands, wait: fc.boolean() }),
    },
    { weight: 4, arbitrary: fc.record({ kind: kind("again"), who, pick: fc.nat(9), variant }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: kind("batch"),
        who,
        dryRun: fc.boolean(),
        drafts: fc.array(postings, { minLength: 1, maxLength: 4 }),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({ kind: kind("wait"), ms: fc.constantFrom(1, 2, 5, 5, 10, 15) }),
    },
    { weight: 10, arbitrary: fc.record({ kind: kind("send"), who }) },
    {
      weight: 14,
      arbitrary: fc.record({ kind: kind("land"), who, lost: fc.constantFrom(false, false, true) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: kind("refresh"), who }) },
    { weight: 1, arbitrary: fc.record({ kind: kind("crash"), who, image: fc.boolean() }) },
  ),
  { maxLength: 60, size: "max" },
);

/**
 * A ledger that two processes write, whose clocks differ, and the naive ledger that does the same commands in the order
 * of the journal: what a process says of a command is compared as soon as its group is stored, and the funds with it.
 */
export class LedgerWorld {
  readonly journal: MemoryJournal;
  readonly naive: NaiveLedger;
  readonly #processes: LedgerProcess[] = [];
  readonly #seen: NaiveCommand[] = [];
  #image: readonly Uint8Array[] | undefined;
  /** What commands with a key, or else a reference, came to, as often as they were done or repeated. */
  readonly results = new Map<string, Done[]>();
  /** What commands came to. */
  readonly outcomes = new Set<string>();
  readonly #log: unknown[] = [];
  now = 1_000;

  readonly #watch: ProcessWatch | undefined;

  constructor({ drainPolicy, lots, overdraft }: WorldSettings, watch?: ProcessWatch) {
    this.#watch = watch;
    this.naive = new NaiveLedger(drainPolicy, { lots, overdraft });
    this.journal = new MemoryJournal({
      kind: "opened",
      decidedAt: 0,
      key: undefined,
      content: undefined,
      drainPolicy,
      lots,
      overdraft,
      idempotencyKeys: 1_000,
      seeds: [7, 11],
    });
    this.#processes.push(this.#process(0), this.#process(1));
    const [first] = this.#processes;
    for (const [account, change] of OPENED)
      first?.submit([{ does: "account", account, change, options: {} }]);
    this.#settle(0);
  }

  get processes(): readonly LedgerProcess[] {
    return this.#processes;
  }

  /** All of a script, and then all that is on its way arrives. What fails says what happened before. */
  play(script: readonly Step[]): this {
    try {
      for (const step of script) this.#step(step);
      this.#settleAll();
    } catch (cause) {
      throw new Error(`after ${inspect(this.#log, { depth: 9, breakLength: 120 })}`, { cause });
    }
    return this;
  }

  #step(step: Step): void {
    switch (step.kind) {
      case "command":
        this.#submit(step.who, step.draft(this.now, this.naive));
        if (step.wait) this.#settle(step.who);
        break;
      case "again": {
        const command = this.#seen[this.#seen.length - 1 - step.pick];
        if (command !== undefined) this.#submit(step.who, varied(command, step.variant));
        break;
      }
      case "batch": {
        const drafts = step.drafts.map((draft) => draft(this.now, this.naive));
        this.#seen.push(...drafts);
        this.#log.push({ ...step, drafts });
        this.#processes[step.who]?.submit(drafts, { dryRun: step.dryRun });
        break;
      }
      case "wait":
        this.#log.push(step);
        this.now += step.ms;
        break;
      case "send":
        this.#log.push(step);
        this.#processes[step.who]?.send();
        break;
      case "land":
        this.#log.push(step);
        this.#land(step.who, step.lost);
        break;
      case "refresh":
        this.#log.push(step);
        this.#processes[step.who]?.refresh();
        break;
      default:
        this.#log.push(step);
        this.#processes[step.who] = this.#process(step.who, step.image ? this.#image : undefined);
    }
  }

  #settleAll(): void {
    for (const who of [0, 1, 0]) this.#settle(who);
    for (const process of this.#processes) this.#compare(process);
  }

  #settle(who: number, turns = 20): void {
    const process = this.#processes[who];
    process?.refresh();
    if (process === undefined || process.isIdle) return;
    if (turns === 0) throw new Error("a process does not come to an end");
    process.send();
    this.#land(who, false);
    this.#settle(who, turns - 1);
  }

  #process(who: number, image?: readonly Uint8Array[]): LedgerProcess {
    const state = image === undefined ? undefined : resultOf(decodeStateInSteps(image));
    return new LedgerProcess(this.journal, () => this.now + who * 5, this.#watch, state);
  }

  #submit(who: number, command: NaiveCommand): void {
    this.#seen.push(command);
    this.#log.push({ who, ...command });
    this.#processes[who]?.submit([command]);
  }

  #land(who: number, lost: boolean): void {
    const process = this.#processes[who];
    const requests = process?.land({ lost });
    if (process === undefined || requests === undefined) return;
    for (const request of requests) this.#judge(request);
    // what is on its way behind it is not in the image
    if (this.journal.length % 3 === 0) this.#image = [...encodeState(process.state)];
    this.#compare(process);
  }

  #judge({ commands, batch, now, verdicts }: Request): void {
    const [command] = commands;
    if (command === undefined) return;
    const naive =
      batch === undefined
        ? [this.naive.run(command, now)]
        : this.naive.runAll(commands, now, batch.dryRun);
    // of a revert, the naive ledger does not say how much was missing
    const said = naive.map((each, at): Done | Refusal | undefined => {
      const verdict = verdicts[at];
      const isFree = "refused" in each && each.funds === undefined;
      return isFree && verdict !== undefined && "refused" in verdict
        ? { refused: verdict.refused }
        : verdict;
    });
    assert.deepStrictEqual({ commands, verdicts: said }, { commands, verdicts: naive });
    for (const [at, each] of naive.entries()) {
      const of = commands[at];
      const name = of && (of.options.idempotencyKey ?? referenceOf(of));
      if (name !== undefined && !("refused" in each))
        this.results.set(name, [...(this.results.get(name) ?? []), each]);
      const outcome = "refused" in each ? each.refused : each.replayed ? "replayed" : "done";
      this.outcomes.add(`${batch === undefined ? command.does : "batch"} ${outcome}`);
    }
  }

  #compare(process: LedgerProcess): void {
    const instants = [-60, 0, 1, 40, 100].map((ms) => this.now + ms);
    const which = process.isIdle ? "value" : "confirmed";
    const { real, naive } = fundsOf(process.state, which, this.naive, instants);
    assert.deepStrictEqual(real, naive);
  }
}
