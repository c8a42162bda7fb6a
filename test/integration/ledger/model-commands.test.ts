import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DRAIN_POLICIES } from "../../../src/ledger/account.ts";
import type { Ledger } from "../../../src/ledger/index.ts";
import type { NaiveCommand } from "../../support/naive-commands.ts";
import { commands, type Draft } from "../../support/ledger-script.ts";
import { ModelStage } from "./model-stage.ts";

const PROCESSES = 3;

/** What a script works on: three processes, and what was sent so far. */
interface World {
  readonly model: ModelStage;
  readonly processes: Ledger[];
  readonly sent: NaiveCommand[];
  done: number;
}

type Step = fc.AsyncCommand<object, World>;

/** The clocks of the processes differ. */
function clockOf(world: World, who: number): number {
  return world.model.now + who * 7;
}

async function opened(model: ModelStage, who: number): Promise<Ledger> {
  return model.stage.other({ now: () => model.now + who * 7, refreshMs: 0 });
}

async function does(world: World, who: number, command: NaiveCommand): Promise<void> {
  const { model, processes } = world;
  const ledger = processes[who];
  if (ledger === undefined) throw new Error(`no process ${who}`);
  world.sent.push(command);
  const real = await model.perform(ledger, command);
  model.agree(command, real, clockOf(world, who));
  if ("version" in real) world.done++;
}

/** A command of any kind, to any process. */
class Sends implements Step {
  readonly #who: number;
  readonly #draft: Draft;
  #text: string;

  constructor(who: number, draft: Draft) {
    this.#who = who;
    this.#draft = draft;
    this.#text = `sent to ${who}`;
  }

  check = (): boolean => true;

  async run(_model: object, world: World): Promise<void> {
    const command = this.#draft(world.model.now, world.model.naive);
    this.#text = `${fc.stringify(command)} to ${this.#who}`;
    await does(world, this.#who, command);
  }

  toString = (): string => this.#text;
}

/** One of the last commands again, to any process. */
class Repeats implements Step {
  readonly #who: number;
  readonly #pick: number;

  constructor(who: number, pick: number) {
    this.#who = who;
    this.#pick = pick;
  }

  check = (): boolean => true;

  async run(_model: object, world: World): Promise<void> {
    const command = world.sent.at(-1 - this.#pick);
    if (command !== undefined) await does(world, this.#who, command);
  }

  toString = (): string => `the last but ${this.#pick} again to ${this.#who}`;
}

class Waits implements Step {
  readonly #ms: number;

  constructor(ms: number) {
    this.#ms = ms;
  }

  check = (): boolean => true;

  async run(_model: object, { model }: World): Promise<void> {
    model.stage.nowMs += this.#ms;
  }

  toString = (): string => `${this.#ms} ms later`;
}

/** A process is gone, and another one begins with the journal. */
class Crashes implements Step {
  readonly #who: number;

  constructor(who: number) {
    this.#who = who;
  }

  check = (): boolean => true;

  async run(_model: object, { model, processes }: World): Promise<void> {
    processes[this.#who] = await opened(model, this.#who);
  }

  toString = (): string => `${this.#who} begins anew`;
}

/** All that a process says. */
class Looks implements Step {
  readonly #who: number;

  constructor(who: number) {
    this.#who = who;
  }

  check = (): boolean => true;

  async run(_model: object, { model, processes }: World): Promise<void> {
    const ledger = processes[this.#who];
    if (ledger !== undefined) await model.compare(ledger);
  }

  toString = (): string => `look at ${this.#who}`;
}

const who = fc.nat(PROCESSES - 1);
const steps = fc.commands<object, World, false>(
  [
    ...Array.from({ length: 8 }, () =>
      fc.tuple(who, commands).map(([who, draft]): Step => new Sends(who, draft)),
    ),
    fc.tuple(who, fc.nat(5)).map(([who, pick]): Step => new Repeats(who, pick)),
    fc.nat(20).map((ms): Step => new Waits(ms)),
    who.map((who): Step => new Crashes(who)),
    who.map((who): Step => new Looks(who)),
  ],
  { maxCommands: 60, size: "max" },
);

describe("three processes on one ledger", () => {
  it("L15 each say and keep what a naive ledger does, whoever is asked, and whoever begins anew", async () => {
    let done = 0;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...DRAIN_POLICIES), steps, async (drainPolicy, script) => {
        await using model = await ModelStage.open(drainPolicy);
        const all = Array.from({ length: PROCESSES }, (_, who) => opened(model, who));
        const world: World = { model, processes: await Promise.all(all), sent: [], done: 0 };
        await fc.asyncModelRun(() => ({ model: {}, real: world }), script);
        for (const ledger of world.processes) await model.compare(ledger);
        const [last] = world.processes;
        if (last === undefined) throw new Error("no process");
        await model.compareLots(last);
        expect(await last.check()).toMatchObject({ outcome: "clean" });
        done += world.done;
      }),
      { numRuns: 15 },
    );
    expect(done).toBeGreaterThan(50);
  });
});
