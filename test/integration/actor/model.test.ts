import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AnnalError } from "../../../src/index.ts";
import { answerTo, publishTo, type Wire } from "../../support/wire.ts";
import { account, type AccountCommand, accountKind, InsufficientFunds } from "./actor-account.ts";
import { Audit, type Sent } from "./actor-audit.ts";
import { type AccountHost, ActorStage } from "./actor-stage.ts";

const HOSTS = 3;
const ACTORS = ["a", "b", "c", "d"] as const;
/** How often a command is sent again whose outcome is unknown. */
const ATTEMPTS = 40;

/** What happens to a process while its commands are on their way. */
type Fault = "none" | "acks get lost" | "commits get lost" | "cut" | "restart" | "crash";
/** What happens beside them. */
type Event = "nothing" | "bucket deleted" | "other writer";

interface Draft {
  readonly who: number;
  readonly actor: string;
  readonly command: AccountCommand;
  /** Sends an earlier command again instead, counted from the last. */
  readonly again: number | undefined;
}

interface Round {
  readonly drafts: readonly Draft[];
  readonly faults: readonly Fault[];
  readonly event: Event;
}

const amount = fc.integer({ min: 1, max: 20 });
const name = fc.constantFrom(...ACTORS);
const commands: fc.Arbitrary<AccountCommand> = fc.oneof(
  fc.record({ type: fc.constant("Deposit" as const), amount }),
  fc.record({ type: fc.constant("Withdraw" as const), amount }),
  fc.record({ type: fc.constant("Transfer" as const), amount, to: name }),
  fc.record({ type: fc.constant("RaiseTo" as const), balance: amount }),
);
const drafts: fc.Arbitrary<Draft> = fc.record({
  who: fc.nat(HOSTS - 1),
  actor: name,
  command: commands,
  again: fc.option(fc.nat(20), { nil: undefined, freq: 5 }),
});
const fault: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 6, arbitrary: fc.constant("none" as const) },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Fault>(
      "acks get lost",
      "commits get lost",
      "cut",
      "restart",
      "crash",
    ),
  },
);
const rounds: fc.Arbitrary<Round[]> = fc.array(
  fc.record({
    drafts: fc.array(drafts, { minLength: 1, maxLength: 14, size: "max" }),
    faults: fc.tuple(...Array.from({ length: HOSTS }, () => fault)),
    event: fc.constantFrom<Event>("nothing", "nothing", "bucket deleted", "other writer"),
  }),
  { minLength: 1, maxLength: 6, size: "max" },
);

interface Process {
  readonly wire: Wire;
  readonly host: AccountHost;
}

class Rivals {
  readonly stage: ActorStage;
  readonly sent: Sent[] = [];
  repeated = 0;
  replayed = 0;
  readonly #processes: Process[] = [];
  /** Of each actor, the highest version that anybody was told of. */
  readonly #versions = new Map<string, number>();
  #names = 0;

  constructor(stage: ActorStage) {
    this.stage = stage;
  }

  async open(who: number): Promise<void> {
    const wire = await this.stage.ownWire();
    const kind = accountKind({ snapshot: { version: 1, every: 3 }, rememberedCommands: 500 });
    const store = { ackTimeoutMs: 60, readTimeoutMs: 250 };
    const bounds = { commandTimeoutMs: 500, maxConflicts: 60, idleMs: 40, maxActors: 3 };
    const host = await this.stage.host({ kind, wire, store, ...bounds });
    this.#processes[who] = { wire, host };
  }

  async play({ drafts: round, faults, event }: Round): Promise<void> {
    const before = [...this.sent];
    for (const [who, each] of faults.entries()) this.#before(who, each);
    const sending = round.map((draft) => this.#play(draft, before));
    await new Promise((resolve) => setImmediate(resolve));
    for (const [who, each] of faults.entries()) await this.#during(who, each);
    if (event === "other writer") await this.stage.write(account("a"), 1, 1);
    if (event === "bucket deleted") {
      await this.stage.admin.streams.delete(`KV_${this.stage.bucket}`).catch(() => {});
    }
    await Promise.all(sending);
  }

  /** All hosts, and one that knows nothing, show what stands in the stream. */
  async look(audit: Audit): Promise<void> {
    const fresh = await this.stage.host({ snapshotBucket: false });
    for (const { host } of [...this.#processes, { host: fresh }]) {
      for (const actor of ACTORS) {
        const states = audit.statesOf(actor);
        const state = await host.state(account(actor), { timeoutMs: 5_000 });
        assert.deepEqual(state, states.at(-1));
      }
    }
  }

  async #play(draft: Draft, before: readonly Sent[]): Promise<void> {
    const { who } = draft;
    const earlier = draft.again === undefined ? undefined : before.at(-1 - draft.again);
    if (earlier !== undefined && earlier.came !== "refused" && earlier.came.events.length > 0) {
      const { actor, command, commandId, came } = earlier;
      const again = await this.#until(who, actor, command, commandId);
      assert.ok(again !== "refused");
      // a host whose own append got lost takes the first one's commit for it
      assert.deepEqual({ ...again, replayed: true }, { ...came, replayed: true });
      this.replayed++;
      return;
    }
    const { actor, command } = draft;
    if (command.type === "Transfer" && command.to === actor) return;
    const commandId = `command-${++this.#names}`;
    const from = this.#versions.get(actor) ?? 0;
    const came = await this.#until(who, actor, command, commandId);
    const to = await this.stage.external.latestVersion(account(actor));
    this.sent.push({ commandId, actor, command, from, came, to });
    const version = came === "refused" ? 0 : came.version;
    if (version > (this.#versions.get(actor) ?? 0)) this.#versions.set(actor, version);
  }

  /** Sends a command until its outcome is known, after the first time to any host. */
  async #until(
    who: number,
    actor: string,
    command: AccountCommand,
    commandId: string,
  ): Promise<Sent["came"]> {
    for (let attempt = 0; ; attempt++) {
      const { host } = this.#processes[(who + attempt) % HOSTS] ?? {};
      if (host === undefined) throw new Error("no host");
      try {
        return await host.send(account(actor), command, { commandId });
      } catch (error) {
        if (error instanceof InsufficientFunds) return "refused";
        if (!(error instanceof AnnalError) || attempt === ATTEMPTS) throw error;
        if (!OPEN.has(error.code)) throw error;
        this.repeated++;
        // a host that is closing or without a connection says so at once
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  #before(who: number, each: Fault): void {
    const { wire } = this.#processes[who] ?? {};
    const subject = new RegExp(`^${this.stage.stream.toLowerCase()}\\.`);
    if (each === "acks get lost") wire?.drop(answerTo(subject), 2);
    if (each === "commits get lost") wire?.drop(publishTo(subject), 2);
  }

  async #during(who: number, each: Fault): Promise<void> {
    const { wire, host } = this.#processes[who] ?? {};
    if (each === "cut") wire?.cut();
    if (each === "restart") {
      const closing = host?.close();
      await this.open(who);
      await closing;
    }
    if (each === "crash") {
      await wire?.close();
      await this.open(who);
    }
  }
}

const OPEN = new Set([
  "append_outcome_unknown",
  "closed",
  "command_timeout",
  "connection_failed",
  "jetstream_unavailable",
  "read_timeout",
  "too_many_conflicts",
]);

describe("three hosts that are sent commands for the same actors at once", () => {
  it("give each its effect once, and no false answer, whatever gets lost, restarts or is deleted", async () => {
    let [done, repeated, replayed] = [0, 0, 0];
    await fc.assert(
      fc.asyncProperty(rounds, async (script) => {
        await using stage = await ActorStage.open();
        const rivals = new Rivals(stage);
        for (let who = 0; who < HOSTS; who++) await rivals.open(who);
        for (const round of script) await rivals.play(round);
        const audit = await Audit.of(stage.external);
        const others = new Set(
          (await stage.commitIds(account("a"))).filter((id) => !id.startsWith("command-")),
        );
        audit.check(rivals.sent, (commitId) => others.has(commitId));
        await rivals.look(audit);
        done += rivals.sent.length;
        repeated += rivals.repeated;
        replayed += rivals.replayed;
      }),
      { numRuns: 12 },
    );
    expect(done).toBeGreaterThan(50);
    expect(repeated).toBeGreaterThan(0);
    expect(replayed).toBeGreaterThan(0);
  }, 180_000);
});
