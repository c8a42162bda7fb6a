import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StreamRolledBackError } from "../../../src/index.ts";
import { answerTo, deliveryOf, publishTo } from "../../support/wire.ts";
import { account, accountKind, deposit, InsufficientFunds, withdraw } from "./actor-account.ts";
import { ActorStage, type BankStore, insist, refusal } from "./actor-stage.ts";
import { collidingIds } from "./colliding-ids.ts";

let stage: ActorStage;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await ActorStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

/** The stream is created anew, and a store that knows `bob` finds out. */
async function rollBack(store: BankStore): Promise<void> {
  await stage.recreate();
  await stage.external.latestVersion(bob);
  expect(await store.latestVersion(bob).catch(() => 0)).toBe(0);
}

describe("a stream that is made anew, which a host is not told", () => {
  it("does not take what was decided on the old one, though the versions agree", async () => {
    // the store no longer knows what alice's last commit was
    const host = await stage.host({ store: { cacheMaxActors: 1 } });
    await host.send(alice, deposit(1_000));
    await host.send(bob, deposit(1));
    stage.wire.drop(deliveryOf(/\.ADVISORY\.STREAM\./), 1_000);
    await stage.recreate();
    await stage.write(alice, 1);
    const error = await refusal(host.send(alice, withdraw(900)));
    expect(error).toBeInstanceOf(StreamRolledBackError);
    expect(await stage.truth(alice)).toEqual({ state: { balance: 1, count: 1 }, version: 1 });
    expect(await refusal(host.send(alice, withdraw(900)))).toEqual(new InsufficientFunds(1));
    expect(await host.send(alice, withdraw(1))).toMatchObject({
      version: 2,
      state: { balance: 0, count: 2 },
    });
  });
});

describe("a stream that is rolled back while a command is on its way", () => {
  it("has it decided on what stands there: while an earlier commit is looked at", async () => {
    const { host, store } = await stage.process();
    const [one, two] = collidingIds();
    await host.send(bob, deposit(1));
    await host.send(alice, deposit(10), { commandId: one });
    const held = stage.wire.hold(answerTo(`$JS.API.DIRECT.GET.${stage.stream}`));
    const send = (): Promise<unknown> => host.send(alice, deposit(5), { commandId: two });
    const sending = insist(send);
    await held.reached();
    await rollBack(store);
    held.release();
    expect(await sending).toMatchObject({ version: 1, state: { balance: 5, count: 1 } });
    expect(await stage.truth(alice)).toEqual({ state: { balance: 5, count: 1 }, version: 1 });
  });

  it("has it refused on what stands there: while its refusal is verified", async () => {
    const { host, store } = await stage.process();
    await host.send(bob, deposit(1));
    await host.send(alice, deposit(10));
    const held = stage.wire.hold(publishTo(stage.headRequest(alice)));
    const sending = refusal(insist(() => host.send(alice, withdraw(50))));
    await held.reached();
    await rollBack(store);
    await stage.write(alice, 7);
    held.release();
    expect(await sending).toEqual(new InsufficientFunds(7));
  });

  it("has it decided again on what stands there: while its append is", async () => {
    const { host, store } = await stage.process();
    await host.send(bob, deposit(1));
    for (let at = 0; at < 3; at++) await host.send(alice, deposit(10));
    const held = stage.wire.hold(publishTo(stage.subject(alice)));
    const sending = refusal(insist(() => host.send(alice, withdraw(30))));
    await held.reached();
    await rollBack(store);
    await stage.write(alice, 7);
    held.release();
    expect(await sending).toEqual(new InsufficientFunds(7));
    expect(await stage.truth(alice)).toEqual({ state: { balance: 7, count: 1 }, version: 1 });
    expect(await host.send(alice, withdraw(7))).toMatchObject({ state: { balance: 0 } });
  });

  it("forgets what was remembered of commands: an id may be used anew", async () => {
    const { host, store } = await stage.process({ kind: accountKind({ rememberedCommands: 10 }) });
    await host.send(bob, deposit(1));
    await host.send(alice, deposit(10), { commandId: "c" });
    await rollBack(store);
    const again = insist(() => host.send(alice, deposit(3), { commandId: "c" }));
    expect(await again).toMatchObject({
      version: 1,
      state: { balance: 3 },
      replayed: false,
    });
  });
});
