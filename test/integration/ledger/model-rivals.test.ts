import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DRAIN_POLICIES } from "../../../src/ledger/account.ts";
import type { Ledger } from "../../../src/ledger/index.ts";
import { commands, type Draft } from "../../support/ledger-script.ts";
import type { Refusal } from "../../support/naive-books.ts";
import type { NaiveCommand } from "../../support/naive-commands.ts";
import type { Done } from "../../support/naive-ledger.ts";
import { answerTo, publishTo, type Wire } from "../../support/wire.ts";
import { comparable, ModelStage } from "./model-stage.ts";

const PROCESSES = 3;
/** How often a command is sent again whose outcome is unknown. */
const ATTEMPTS = 20;

/** What happens to the connection of a process while its commands are on their way. */
type Fault = "none" | "acks get lost" | "commits get lost" | "cut" | "crash";

/** Commands that are all sent at once. */
interface Round {
  readonly drafts: readonly (readonly [who: number, draft: Draft])[];
  readonly faults: readonly Fault[];
  readonly laterMs: number;
}

interface Process {
  readonly wire: Wire;
  readonly ledger: Ledger;
}

/** What became of a command. */
interface Sent {
  readonly command: NaiveCommand;
  readonly real: Done | Refusal;
}

const who = fc.nat(PROCESSES - 1);
const rounds: fc.Arbitrary<Round[]> = fc.array(
  fc.record({
    drafts: fc.array(fc.tuple(who, commands), { minLength: 1, maxLength: 12, size: "max" }),
    faults: fc.tuple(...Array.from({ length: PROCESSES }, () => fault())),
    laterMs: fc.nat(20),
  }),
  { minLength: 1, maxLength: 6, size: "max" },
);

function fault(): fc.Arbitrary<Fault> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant("none" as const) },
    {
      weight: 2,
      arbitrary: fc.constantFrom("acks get lost", "commits get lost", "cut", "crash" as const),
    },
  );
}

class Rivals {
  readonly model: ModelStage;
  readonly #processes: Process[] = [];
  #names = 0;
  repeated = 0;
  done = 0;

  constructor(model: ModelStage) {
    this.model = model;
  }

  async open(who: number): Promise<void> {
    const { stage } = this.model;
    const wire = await stage.wire();
    const bounds = { commandTimeoutMs: 400, refreshMs: 50 };
    this.#processes[who] = { wire, ledger: await stage.other(bounds, { servers: wire.url }) };
  }

  async play({ drafts, faults, laterMs }: Round): Promise<void> {
    const { model } = this;
    model.stage.nowMs += laterMs;
    for (const [who, fault] of faults.entries()) this.#before(who, fault);
    const sending = drafts.map(([who, draft]) => this.#send(who, this.#named(draft)));
    await new Promise((resolve) => setImmediate(resolve));
    for (const [who, fault] of faults.entries()) await this.#during(who, fault);
    this.#judge(await Promise.all(sending));
    const reader = this.#processes[0]?.ledger;
    if (reader !== undefined) await model.compare(reader);
  }

  /** All that is left at the end, from the journal alone. */
  async look(): Promise<void> {
    const { model } = this;
    const ledger = await model.stage.other();
    await model.compare(ledger);
    await model.compareLots(ledger);
    assert.equal((await ledger.check()).outcome, "clean");
  }

  /** With a key of its own, so that it can be sent again; its version is nobody's to expect. */
  #named(draft: Draft): NaiveCommand {
    const { now, naive } = this.model;
    const command = draft(now, naive);
    const idempotencyKey = `command ${++this.#names}`;
    const { balance } = command.options.expect ?? {};
    const options = { ...command.options, idempotencyKey, expect: { balance }, dryRun: undefined };
    return { ...command, options };
  }

  #before(who: number, fault: Fault): void {
    const { wire } = this.#processes[who] ?? {};
    const { journal } = this.model.stage;
    if (fault === "acks get lost") wire?.drop(answerTo(journal));
    if (fault === "commits get lost") wire?.drop(publishTo(journal));
  }

  async #during(who: number, fault: Fault): Promise<void> {
    const { wire } = this.#processes[who] ?? {};
    if (fault === "cut") wire?.cut();
    if (fault !== "crash") return;
    await wire?.close();
    await this.open(who);
  }

  /** Sends a command until its outcome is known, after the first time to any process. */
  async #send(who: number, command: NaiveCommand): Promise<Sent> {
    for (let attempt = 0; ; attempt++) {
      const { ledger } = this.#processes[(who + attempt) % PROCESSES] ?? {};
      if (ledger === undefined) throw new Error("no process");
      try {
        return { command, real: await this.model.perform(ledger, command) };
      } catch (error) {
        if (attempt === ATTEMPTS) throw error;
        this.repeated++;
      }
    }
  }

  /**
   * What was done, in the order of the journal, must be what the naive ledger does; what was refused must be what it
   * refuses somewhere in between.
   */
  #judge(sent: readonly Sent[]): void {
    const { naive, now } = this.model;
    const open = new Set(sent.filter(({ real }) => "refused" in real));
    const settle = () => {
      for (const each of open) {
        const undo = naive.save();
        const said = naive.run(each.command, now);
        undo();
        if (JSON.stringify(said, text) === JSON.stringify(comparable(each.real, said), text))
          open.delete(each);
      }
    };
    const byVersion = sent.flatMap(({ command, real }) =>
      "version" in real ? [{ command, real }] : [],
    );
    byVersion.sort((one, other) => one.real.version - other.real.version);
    settle();
    for (const { command, real } of byVersion) {
      const said = naive.run(command, now);
      // one that was sent again is told its first result; one of a reference, that of another command
      const came = { ...real, replayed: "replayed" in said && said.replayed };
      assert.deepStrictEqual({ command, came }, { command, came: said });
      this.done++;
      settle();
    }
    assert.deepStrictEqual([...open], []);
  }
}

function text(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}

describe("three processes that write one ledger at once", () => {
  it("L12 L15 do each command once, as a naive ledger does it in the order of the journal, whatever gets lost", async () => {
    let [done, repeated] = [0, 0];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...DRAIN_POLICIES), rounds, async (drainPolicy, script) => {
        await using model = await ModelStage.open(drainPolicy);
        const rivals = new Rivals(model);
        for (let who = 0; who < PROCESSES; who++) await rivals.open(who);
        for (const round of script) await rivals.play(round);
        await rivals.look();
        done += rivals.done;
        repeated += rivals.repeated;
      }),
      { numRuns: 10 },
    );
    expect(done).toBeGreaterThan(30);
    expect(repeated).toBeGreaterThan(0);
  });
});
