import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ActorHost, defineActor, EvolveFailedError } from "../../../src/actor/index.ts";
import { EventStore } from "../../../src/index.ts";
import {
  account,
  type AccountDefinition,
  accountKind,
  decideAccount,
  deposit,
  deposited,
  evolveAccount,
  withdraw,
} from "./actor-account.ts";
import { type AccountHost, ActorStage, refusal } from "./actor-stage.ts";

let stage: ActorStage;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await ActorStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

function hostDeciding(decide: AccountDefinition["decide"]): Promise<AccountHost> {
  return stage.host({ kind: accountKind({ decide }) });
}

/** An `evolve` that cannot take deposits of 13. */
const fearful: AccountDefinition["evolve"] = (state, event) => {
  if (event.data.amount === 13) throw new RangeError("not 13");
  return evolveAccount(state, event);
};

describe("what decide throws", () => {
  it.each([new Error("no"), { reason: "an object" }, "a string", 7, undefined])(
    "goes to the caller as it is: %s",
    async (thrown) => {
      const host = await hostDeciding(() => {
        throw thrown;
      });
      expect(await refusal(host.send(alice, deposit()))).toBe(thrown);
      expect(host.status()).toMatchObject({ rejected: 1, commandsRunning: 0 });
    },
  );
});

describe("what decide returns", () => {
  it.each([
    ["a promise", () => Promise.resolve(deposited(1)), /async/],
    ["a promise that fails", () => Promise.reject(new Error("unseen")), /async/],
    ["nothing", () => undefined, /undefined/],
    ["an event outside of a list", () => deposited(1)[0], /object/],
    ["a text", () => "Deposited", /string/],
  ])("is refused where it is %s", async (_, decide, reason) => {
    const host = await hostDeciding(decide as never);
    const error = await refusal(host.send(alice, deposit()));
    expect(error).toMatchObject({ code: "invalid_decision", actor: alice });
    expect(String(error)).toMatch(reason);
    expect(host.status()).toMatchObject({ rejected: 0 });
    expect(stage.asked()).toMatchObject({ appends: 0 });
  });

  it.each([
    ["no event", null, "invalid_argument"],
    ["an event without a type", { data: 1 }, "invalid_argument"],
    ["a function in its data", { type: "Deposited", data: { f: () => 1 } }, "unserialisable_value"],
    ["metadata that are none", { type: "Deposited", metadata: 5 }, "invalid_argument"],
  ])("is refused where it holds %s, and nothing is stored", async (_, event, code) => {
    const host = await hostDeciding(() => [...deposited(1), event as never]);
    expect(await refusal(host.send(alice, deposit()))).toMatchObject({ code });
    expect(await stage.truth(alice)).toMatchObject({ version: 0 });
    expect(await host.load(alice)).toMatchObject({ version: 0, state: { balance: 0 } });
  });

  it("is refused where it is too large for a message", async () => {
    const note = "x".repeat(2 << 20);
    const host = await hostDeciding(() => [{ type: "Deposited", data: { amount: 1, note } }]);
    const error = await refusal(host.send(alice, deposit()));
    expect(error).toMatchObject({ code: "append_too_large" });
    expect(await host.load(alice)).toMatchObject({ version: 0, state: { balance: 0 } });
  });
});

describe("what decide is told", () => {
  it("is the actor, its version, the time and the id of the command", async () => {
    const seen: unknown[] = [];
    const kind = accountKind({
      decide(command, state, { actor, version, commandId, receivedAt }) {
        receivedAt.setTime(0);
        seen.push({ command, state, actor, version, commandId, receivedAt });
        return deposited(1);
      },
    });
    const times: number[] = [];
    const host = await stage.host({ kind, now: () => times.push(1) });
    await host.send(alice, deposit(5));
    await host.send(alice, deposit(6), { commandId: "c" });
    expect(seen).toMatchObject([
      {
        command: deposit(5),
        state: { balance: 0 },
        actor: alice,
        version: 0,
        commandId: undefined,
      },
      { command: deposit(6), state: { balance: 1 }, actor: alice, version: 1, commandId: "c" },
    ]);
    expect(times).toHaveLength(2);
  });
});

describe("evolve that throws", () => {
  it("for new events stores nothing, and the actor goes on", async () => {
    const host = await stage.host({ kind: accountKind({ evolve: fearful }) });
    await host.send(alice, deposit(5));
    const error = await refusal(host.send(alice, deposit(13)));
    expect(error).toBeInstanceOf(EvolveFailedError);
    expect(error).toMatchObject({
      code: "evolve_failed",
      actor: alice,
      version: 2,
      eventType: "Deposited",
      stored: false,
      cause: new RangeError("not 13"),
    });
    expect(await stage.truth(alice)).toMatchObject({ version: 1 });
    expect(await host.send(alice, deposit(6))).toMatchObject({
      version: 2,
      state: { balance: 11 },
    });
  });

  it("for stored events concerns that actor alone, each time it is asked", async () => {
    await stage.write(alice, 5, 13, 6);
    const host = await stage.host({ kind: accountKind({ evolve: fearful }) });
    const poisoned = { code: "evolve_failed", actor: alice, version: 2, stored: true };
    for (let again = 0; again < 2; again++) {
      expect(await refusal(host.send(alice, deposit(1)))).toMatchObject(poisoned);
      expect(await refusal(host.load(alice))).toMatchObject(poisoned);
    }
    expect(await refusal(host.load(alice, { version: 3 }))).toMatchObject(poisoned);
    expect(await host.state(alice, { version: 1 })).toEqual({ balance: 5, count: 1 });
    expect(await host.send(bob, deposit(1))).toMatchObject({ version: 1 });
    await host.close();
    expect(await stage.truth(alice)).toMatchObject({ version: 3 });
  });

  it("for what another writer has appended is said, and mended by a definition that takes it", async () => {
    const kind = accountKind({ evolve: fearful });
    const host = await stage.host({ kind });
    await host.send(alice, deposit(5), { commandId: "first" });
    await stage.write(alice, 13);
    expect(await refusal(host.send(alice, deposit(1)))).toMatchObject({ stored: true, version: 2 });
    await host.close();
    const mended = await stage.host();
    expect(await mended.send(alice, deposit(1))).toMatchObject({
      version: 3,
      state: { balance: 19, count: 3 },
    });
    expect(await mended.send(alice, deposit(5), { commandId: "first" })).toMatchObject({
      replayed: true,
      version: 1,
    });
  });
});

describe("a state in memory", () => {
  it("is what reading the events again makes of it", async () => {
    const kinds = defineActor({
      type: "account",
      initialState: [] as unknown[],
      decide: (data: unknown) => [{ type: "Deposited", data }],
      evolve: (
        state: unknown[],
        { data }: { readonly type: "Deposited"; readonly data: unknown },
      ) => [...state, data],
    });
    const store = await EventStore.connect({ servers: stage.url, stream: stage.stream });
    const host = await ActorHost.start(store, [kinds]);
    const other = await ActorHost.start(store, [kinds]);
    const when = new Date(5);
    const data = [
      { here: 1, gone: undefined },
      undefined,
      { when, big: 12n, huge: 2n ** 70n, list: [1, undefined] },
      new Uint8Array([1, 2]),
      { nested: { deep: [{ gone: undefined }] } },
    ];
    for (const each of data) await host.send(alice, each);
    const here = await host.state(alice, { fresh: false });
    expect(here).toStrictEqual(await other.state(alice));
    expect(here[0]).toStrictEqual({ here: 1 });
    expect(here[2]).toMatchObject({ when, big: 12n, huge: 2n ** 70n });
    await host.close();
    await other.close();
    await store.close();
  });

  it("is not changed by who changes the events or the command afterwards", async () => {
    const data = { amount: 5 };
    const events = [{ type: "Deposited", data }] as const;
    const host = await hostDeciding(() => events);
    const seen = await host.send(alice, deposit());
    data.amount = 1_000;
    expect(seen).toMatchObject({ state: { balance: 5 }, events: [{ data: { amount: 5 } }] });
    expect(await host.state(alice)).toEqual({ balance: 5, count: 1 });
    expect(await stage.truth(alice)).toMatchObject({ state: { balance: 5 } });
  });

  it("is not changed by who changes events while they are being stored", async () => {
    const data = { amount: 5 };
    const host = await hostDeciding(() => [{ type: "Deposited", data }]);
    const sending = host.send(alice, deposit());
    data.amount = 1_000;
    const { state } = await sending;
    expect(state).toEqual((await stage.truth(alice)).state);
  });

  it("begins frozen, so that no actor changes it for the others", async () => {
    const kind = accountKind({
      evolve(state, event) {
        Object.assign(state, evolveAccount(state, event));
        return state;
      },
    });
    const host = await stage.host({ kind });
    const error = await refusal(host.send(alice, deposit()));
    expect(error).toMatchObject({ code: "evolve_failed", stored: false });
    expect(await host.state(bob)).toEqual({ balance: 0, count: 0 });
  });
});

describe("the store's rules", () => {
  const schema = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate(value: unknown) {
        const { amount } = value as { readonly amount: unknown };
        if (Number(amount) > 0) return { value: { amount: Number(amount) } };
        return { issues: [{ message: "not positive" }] };
      },
    },
  };

  it("apply to new events: a schema refuses or changes their data", async () => {
    const store = { schemas: { account: { Deposited: schema } } } as never;
    const host = await stage.host({ store });
    expect(await refusal(host.send(alice, deposit(-1)))).toMatchObject({
      code: "schema_validation",
    });
    const text = { type: "Deposit", amount: "5" } as never;
    const sent = await host.send(alice, text);
    expect(sent).toMatchObject({ state: { balance: 5 }, events: [{ data: { amount: 5 } }] });
    expect(await stage.truth(alice)).toMatchObject({ state: { balance: 5 }, version: 1 });
  });

  it("apply to stored and to new events: upcasters bring them up to date", async () => {
    const old = { type: "Added", data: 7 } as never;
    await stage.external.append(alice, [old], { expectedVersion: 0 });
    const upcasters = {
      account: {
        Added: ({ data }: { data: unknown }) => ({ type: "Deposited", data: { amount: data } }),
      },
    };
    const kind = accountKind({
      decide: (command, state, context) =>
        command.type === "Deposit" ? [old] : decideAccount(command, state, context),
    });
    const host = await stage.host({ kind, store: { upcasters } });
    expect(await host.state(alice)).toEqual({ balance: 7, count: 1 });
    const sent = await host.send(alice, deposit());
    expect(sent).toMatchObject({
      state: { balance: 14, count: 2 },
      events: [{ type: "Deposited", data: { amount: 7 } }],
    });
    expect(await host.send(alice, withdraw(14))).toMatchObject({ version: 3 });
  });
});
