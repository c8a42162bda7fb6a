import { describe, expect, it, onTestFinished } from "vitest";
import { ActorHost } from "../../../src/actor/index.ts";
import { EventStore } from "../../../src/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";
import {
  idOf,
  inRequest,
  type Observed,
  observe,
  parentOf,
  SpanStatusCode,
  sumsBy,
  traceparentOf,
} from "../../support/telemetry.ts";
import {
  account,
  accountKind,
  type Bank,
  deposit,
  InsufficientFunds,
  transfer,
  withdraw,
} from "../actor/actor-account.ts";
import { collect, failureOf } from "../store/bank.ts";

const alice = account("alice");

async function openHost(stream = freshStream()) {
  const store = await EventStore.connect<Bank>({ servers: natsUrl(), stream });
  const host = await ActorHost.start(store, [accountKind()]);
  onTestFinished(async () => {
    await host.close();
    await store.close();
  });
  return { store, host };
}

async function headersOf(store: EventStore<Bank>): Promise<Readonly<Record<string, string>>[]> {
  return (await collect(store.readCommits())).map(({ headers }) => headers);
}

function namesUnder({ spans }: Observed, id: string): string[] {
  return spans("")
    .filter((span) => parentOf(span) === id)
    .map(({ name }) => name);
}

describe("a command to an actor host", () => {
  it("is one trace from the request to the commit", async () => {
    const observed = observe();
    const { store, host } = await openHost();
    await inRequest(observed.tracer, () => host.send(alice, deposit(10), { commandId: "d1" }));
    const { span } = observed;
    const sent = span("send account");
    expect(parentOf(sent)).toBe(idOf(span("request")));
    expect(namesUnder(observed, idOf(sent))).toEqual([
      "load account",
      "decide account",
      `append ${store.stream}`,
    ]);
    expect(sent.attributes).toMatchObject({
      "annal.command.type": "Deposit",
      "annal.command.id": "d1",
      "annal.actor.id": "alice",
      "annal.actor.warm": false,
      "annal.events": 1,
      "annal.version": 1,
      "annal.position": 1,
      "annal.replayed": false,
    });
    expect(await headersOf(store)).toEqual([{ traceparent: traceparentOf(span("append")) }]);
  });

  it("to several actors writes its trace into all their commits", async () => {
    const { span, spans } = observe();
    const { store, host } = await openHost();
    await host.send(alice, deposit(10));
    await host.send(alice, transfer("bob", 4));
    const traceparent = traceparentOf(span("appendAll"));
    expect(parentOf(span("appendAll"))).toBe(spans("send").map(idOf)[1]);
    expect((await headersOf(store)).slice(1)).toEqual([{ traceparent }, { traceparent }]);
  });

  it("that waits behind others is no child of theirs", async () => {
    const observed = observe();
    const { host } = await openHost();
    const numbers = [1, 2, 3, 4, 5];
    await Promise.all(
      numbers.map((n) => inRequest(observed.tracer, () => host.send(alice, deposit(n)))),
    );
    const { spans } = observed;
    expect(new Set(spans("send").map(parentOf))).toEqual(new Set(spans("request").map(idOf)));
    for (const sent of spans("send")) {
      const children = namesUnder(observed, idOf(sent)).map((name) => name.split(" ")[0]);
      expect(children.filter((name) => name !== "load")).toEqual(["decide", "append"]);
    }
  });

  it("that is refused says so", async () => {
    const { span, points } = observe();
    const { host } = await openHost();
    expect(await failureOf(host.send(alice, withdraw(1)))).toBeInstanceOf(InsufficientFunds);
    expect(span("send").status.code).toBe(SpanStatusCode.ERROR);
    expect(span("send").attributes["error.type"]).toBe("InsufficientFunds");
    expect(sumsBy(await points("annal.actor.send.duration"), "error.type")).toEqual({
      InsufficientFunds: 1,
    });
  });

  it("that another writer crosses is decided twice, in one trace", async () => {
    const observed = observe();
    const { store, host } = await openHost();
    await host.send(alice, deposit(1));
    const other = await openHost(store.stream);
    await other.host.send(alice, deposit(2));
    observed.telemetry.disable();
    const again = observe();
    await host.send(alice, deposit(3));
    const sent = again.span("send");
    const names = namesUnder(again, idOf(sent)).map((name) => name.split(" ")[0]);
    expect(names).toEqual(["decide", "append", "load", "decide", "append"]);
    expect(sent.attributes).toMatchObject({ "annal.actor.conflicts": 1, "annal.version": 3 });
    expect(again.span("load").attributes["annal.actor.load.why"]).toBe("catch_up");
    const decisions = again.spans("decide").map(({ attributes }) => attributes["annal.attempt"]);
    expect(decisions).toEqual([1, 2]);
    expect(await again.points("annal.actor.send.conflicts")).toMatchObject([
      { value: { count: 1, sum: 1 } },
    ]);
    expect(sumsBy(await again.points("annal.actor.decisions"), "annal.actor.type")).toEqual({
      account: 2,
    });
    const [, , commit] = await headersOf(store);
    expect(commit?.["traceparent"]).toBe(traceparentOf(again.spans("append")[1] ?? sent));
  });
});
