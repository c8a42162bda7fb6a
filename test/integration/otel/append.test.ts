import { AsyncLocalStorage } from "node:async_hooks";
import { SpanKind } from "@opentelemetry/api";
import { describe, expect, it } from "vitest";
import type { Commit, EventStore } from "../../../src/index.ts";
import { appendTracing } from "../../../src/store/diagnostics.ts";
import { collect, failureOf, notes, openStore } from "../store/bank.ts";
import {
  idOf,
  inRequest,
  observe,
  parentOf,
  SpanStatusCode,
  traceparentOf,
} from "../../support/telemetry.ts";

const alice = { type: "account", id: "alice" } as const;
const bob = { type: "account", id: "bob" } as const;
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const GIVEN = `00-${TRACE}-b7ad6b7169203331-01`;

async function commitsOf(store: EventStore): Promise<Commit[]> {
  return await collect(store.readCommits());
}

async function headersOf(store: EventStore): Promise<Readonly<Record<string, string>>[]> {
  return (await commitsOf(store)).map(({ headers }) => headers);
}

describe("the span of an append", () => {
  it("is a child of the request's, and stands in the header of the commit", async () => {
    const { tracer, span } = observe();
    const store = await openStore();
    await inRequest(tracer, () =>
      store.append(alice, notes(1, 2), { expectedVersion: 0, commitId: "one" }),
    );
    const append = span("append ");
    expect(append.name).toBe(`append ${store.stream}`);
    expect(append.kind).toBe(SpanKind.PRODUCER);
    expect(parentOf(append)).toBe(idOf(span("request")));
    expect(append.attributes).toEqual({
      "messaging.system.name": "nats",
      "messaging.operation.name": "append",
      "messaging.operation.type": "send",
      "messaging.destination.name": store.stream,
      "messaging.message.id": "one",
      "annal.subject": `${store.stream.toLowerCase()}.account.alice`,
      "annal.actor.type": "account",
      "annal.events": 2,
      "annal.position": 1,
      "annal.version": 2,
      "annal.replayed": false,
    });
    expect(append.status.code).toBe(SpanStatusCode.UNSET);
    expect(await headersOf(store)).toEqual([{ traceparent: traceparentOf(append) }]);
  });

  it("begins a trace where there is none", async () => {
    const { span } = observe();
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    expect(parentOf(span("append"))).toBeUndefined();
    expect(await headersOf(store)).toEqual([{ traceparent: traceparentOf(span("append")) }]);
  });

  it("carries the state of the trace on", async () => {
    const { span } = observe();
    const store = await openStore();
    const headers = { traceparent: GIVEN, tracestate: "vendor=1,other=2" };
    await store.append(alice, notes(1), { expectedVersion: 0, headers });
    const append = span("append");
    expect(append.parentSpanContext).toMatchObject({ traceId: TRACE, spanId: "b7ad6b7169203331" });
    expect(append.spanContext().traceState?.serialize()).toBe("vendor=1,other=2");
  });

  it.each([
    { traceparent: GIVEN },
    { traceparent: GIVEN, other: "x" },
    { Traceparent: GIVEN },
    { traceparent: "none of ours" },
    { tracestate: "a=b" },
  ])("leaves what the caller says as it is: %j", async (headers: Record<string, string>) => {
    const { tracer, spans } = observe();
    const store = await openStore();
    await inRequest(tracer, () => store.append(alice, notes(1), { expectedVersion: 0, headers }));
    expect(await headersOf(store)).toEqual([headers]);
    expect(spans("append")).toHaveLength(1);
  });

  it("goes on with the trace that the caller names, however the header is spelled", async () => {
    const { span } = observe();
    const store = await openStore();
    const headers = { TraceParent: GIVEN, TRACESTATE: "vendor=1" };
    await store.append(alice, notes(1), { expectedVersion: 0, headers });
    const { parentSpanContext } = span("append");
    expect(parentSpanContext).toMatchObject({ traceId: TRACE, spanId: "b7ad6b7169203331" });
    expect(span("append").spanContext().traceState?.serialize()).toBe("vendor=1");
    expect(await headersOf(store)).toEqual([headers]);
  });

  it("keeps the caller's other headers", async () => {
    const { span } = observe();
    const store = await openStore();
    const headers = { "X-Tenant": "seven" };
    await store.append(alice, notes(1), { expectedVersion: 0, headers });
    const traceparent = traceparentOf(span("append"));
    expect(await headersOf(store)).toEqual([{ "X-Tenant": "seven", traceparent }]);
    expect(headers).toEqual({ "X-Tenant": "seven" });
  });

  it("says how it failed", async () => {
    const { spans } = observe();
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const error = await failureOf(store.append(alice, notes(2), { expectedVersion: 0 }));
    const failed = spans("append")[1];
    expect(failed?.status).toEqual({
      code: SpanStatusCode.ERROR,
      message: (error as Error).message,
    });
    expect(failed?.attributes).toMatchObject({ "error.type": "version_conflict" });
    expect(failed?.attributes).not.toHaveProperty(["annal.position"]);
    expect(failed?.events[0]).toMatchObject({
      name: "exception",
      attributes: { "exception.type": "version_conflict" },
    });
  });

  it("tells a repetition from what it repeats", async () => {
    const { spans } = observe();
    const store = await openStore();
    const options = { expectedVersion: 0, commitId: "same" };
    await store.append(alice, notes(1), options);
    await store.append(alice, notes(1), options);
    expect(spans("append").map(({ attributes }) => attributes["annal.replayed"])).toEqual([
      false,
      true,
    ]);
    expect(await commitsOf(store)).toHaveLength(1);
  });

  it("is one for an appendAll, whose commits all carry it", async () => {
    const { tracer, span } = observe();
    const store = await openStore();
    const entries = [alice, bob].map((actor) => ({
      actor,
      events: notes(1, 2),
      expectedVersion: 0,
    }));
    await inRequest(tracer, () => store.appendAll(entries, { commitId: "both" }));
    const append = span("appendAll");
    expect(parentOf(append)).toBe(idOf(span("request")));
    expect(append.attributes).toMatchObject({
      "messaging.operation.name": "appendAll",
      "messaging.batch.message_count": 2,
      "messaging.message.id": "both",
      "annal.events": 4,
      "annal.position": 2,
    });
    const traceparent = traceparentOf(append);
    expect(await headersOf(store)).toEqual([{ traceparent }, { traceparent }]);
  });

  it("is none of what the caller began beside it", async () => {
    const { tracer, spans } = observe();
    const store = await openStore();
    await Promise.all(
      [alice, bob].map((actor) =>
        inRequest(tracer, () => store.append(actor, notes(1), { expectedVersion: 0 })),
      ),
    );
    const parents = new Set(spans("append").map(parentOf));
    expect(parents.size).toBe(2);
    expect(parents).toEqual(new Set(spans("request").map(idOf)));
  });
});

describe("the channel of appends", () => {
  it("lets a subscriber add no header that is none", async () => {
    const store = await openStore();
    const stop = appendTracing.follow(
      new AsyncLocalStorage<undefined>(),
      ({ stream, headers }) => {
        if (stream === store.stream) headers["Nats-Expected-Stream"] = "another";
        return undefined;
      },
      () => {},
    );
    const error = await failureOf(store.append(alice, notes(1), { expectedVersion: 0 }));
    stop();
    expect(error).toMatchObject({ code: "invalid_argument", argument: "headers" });
    expect(await commitsOf(store)).toEqual([]);
    await store.append(alice, notes(1), { expectedVersion: 0 });
    expect(appendTracing.hasSubscribers).toBe(false);
  });
});
