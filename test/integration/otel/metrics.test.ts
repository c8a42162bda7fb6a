import { describe, expect, it } from "vitest";
import { collect, failureOf, notes, openStore } from "../store/bank.ts";
import { attributesOf, observe, sumsBy } from "../../support/telemetry.ts";

const alice = { type: "account", id: "alice" } as const;
const bob = { type: "account", id: "bob" } as const;
const order = { type: "order", id: "one" } as const;

describe("the metrics of a store", () => {
  it("measure appends and reads by their kind and their outcome", async () => {
    const { points } = observe();
    const store = await openStore();
    await store.append(alice, notes(1, 2), { expectedVersion: 0 });
    await store.append(alice, notes(3), { expectedVersion: 2 });
    await failureOf(store.append(alice, notes(4), { expectedVersion: 1 }));
    const entries = [bob, order].map((actor) => ({
      actor,
      events: notes(1, 2),
      expectedVersion: 0,
    }));
    await store.appendAll(entries);
    await collect(store.read(alice));
    await collect(store.readAll());
    const durations = await points("messaging.client.operation.duration");
    const of = ["messaging.operation.name", "messaging.operation.type", "annal.actor.type"];
    expect(sumsBy(durations, ...of, "error.type")).toEqual({
      "append send account ": 2,
      "append send account version_conflict": 1,
      "appendAll send  ": 1,
      "read receive account ": 1,
      "readAll receive  ": 1,
    });
    for (const { value } of durations) {
      if (typeof value === "number") throw new Error("expected a histogram");
      expect(value.sum).toBeGreaterThan(0);
      expect(value.max).toBeLessThan(60);
    }
  });

  it("count as sent what is stored, once", async () => {
    const { points } = observe();
    const store = await openStore();
    const options = { expectedVersion: 0, commitId: "same" };
    await store.append(alice, notes(1, 2), options);
    await store.append(alice, notes(1, 2), options);
    await failureOf(store.append(alice, notes(4), { expectedVersion: 1 }));
    const aborted = { expectedVersion: 2, signal: AbortSignal.abort() };
    await failureOf(store.append(alice, notes(5), aborted));
    const entries = [bob, order].map((actor) => ({
      actor,
      events: notes(1, 2),
      expectedVersion: 0,
    }));
    await store.appendAll(entries);
    const sent = await points("messaging.client.sent.messages");
    const of = ["messaging.operation.name", "annal.actor.type", "error.type"];
    expect(sumsBy(sent, ...of)).toEqual({ "append account ": 1, "appendAll  ": 2 });
  });

  it("say of a read how it failed", async () => {
    const { points } = observe();
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const signal = AbortSignal.abort();
    await failureOf(collect(store.read(alice, { signal })));
    await failureOf(collect(store.readAll({ signal })));
    const reason = new DOMException("too late", "TimeoutError");
    await failureOf(collect(store.readAll({ signal: AbortSignal.abort(reason) })));
    const durations = await points("messaging.client.operation.duration");
    const of = ["messaging.operation.name", "error.type"];
    expect(sumsBy(durations, ...of)).toMatchObject({
      "read AbortError": 1,
      "readAll AbortError": 1,
      "readAll TimeoutError": 1,
    });
  });

  it("count events once, by the type of their actor", async () => {
    const { points } = observe();
    const store = await openStore();
    const options = { expectedVersion: 0, commitId: "same" };
    await store.append(alice, notes(1, 2), options);
    await store.append(alice, notes(1, 2), options);
    await store.append(order, notes(1), { expectedVersion: 0 });
    await failureOf(store.append(order, notes(1), { expectedVersion: 0 }));
    expect(sumsBy(await points("annal.events.appended"), "annal.actor.type")).toEqual({
      account: 2,
      order: 1,
    });
  });

  it("count conflicts, and what the version cache knew", async () => {
    const store = await openStore();
    const other = await openStore({ stream: store.stream });
    await store.append(alice, notes(1), { expectedVersion: 0 });
    await other.append(alice, notes(2), { expectedVersion: 1 });
    const { points } = observe();
    await failureOf(store.append(alice, notes(3), { expectedVersion: 1 }));
    await other.append(alice, notes(3), { expectedVersion: 2 });
    await store.append(alice, notes(4), { expectedVersion: "any" });
    const conflicts = await points("annal.conflicts");
    expect(sumsBy(conflicts, "annal.actor.type", "annal.conflict.retried")).toEqual({
      "account false": 1,
      "account true": 1,
    });
    const lookups = sumsBy(
      await points("annal.version_cache.lookups"),
      "annal.version_cache.outcome",
    );
    expect(lookups["hit"]).toBeGreaterThanOrEqual(3);
    expect(sumsBy(await points("annal.retries"), "annal.retry.of", "annal.retry.outcome")).toEqual({
      "append race": 1,
    });
  });

  it("say nothing whose number has no bound", async () => {
    const { points } = observe();
    const store = await openStore();
    for (const id of ["needle-1", "needle-2"]) {
      const actor = { type: "account", id };
      await store.append(actor, notes(1), { expectedVersion: 0, commitId: `needle-${id}` });
      await failureOf(store.append(actor, notes(1), { expectedVersion: 0 }));
      await collect(store.read(actor));
    }
    const names = [
      "messaging.client.operation.duration",
      "messaging.client.sent.messages",
      "annal.events.appended",
      "annal.conflicts",
      "annal.version_cache.lookups",
    ];
    for (const name of names) {
      const said = attributesOf(await points(name));
      expect({ name, said }).not.toEqual({ name, said: [] });
      expect(JSON.stringify({ name, said })).not.toContain("needle");
    }
  });
});
