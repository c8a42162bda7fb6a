import { SpanKind } from "@opentelemetry/api";
import { describe, expect, it } from "vitest";
import { actorChannels, type SendMessage } from "../../../src/actor/diagnostics.ts";
import { VersionConflictError } from "../../../src/errors.ts";
import { ledgerChannels } from "../../../src/ledger/diagnostics.ts";
import { projectionChannels } from "../../../src/projection/diagnostics.ts";
import { type AppendTrace, appendTracing } from "../../../src/store/diagnostics.ts";
import {
  attributesOf,
  idOf,
  inRequest,
  observe,
  parentOf,
  SpanStatusCode,
  sumsBy,
  traceparentOf,
} from "../../support/telemetry.ts";

const actor = { type: "account", id: "alice" } as const;
const stream = "BANK";

class InsufficientFunds extends Error {}

function command(headers: Record<string, string> = {}): SendMessage {
  return { stream, actor, command: "Withdraw", commandId: "c1", headers, conflicts: 0 };
}

function load(): Promise<void> {
  const message = { stream, actor, why: "cold" } as const;
  return actorChannels.load.promise(async () => {
    await Promise.resolve();
    Object.assign(message, { snapshotVersion: 5, commits: 2, version: 7 });
  }, message);
}

function decide(attempt: number, events: number): number {
  const message = { stream, actor, command: "Withdraw", version: 7, attempt };
  return actorChannels.decide.sync(() => {
    Object.assign(message, { events });
    return events;
  }, message);
}

/** As the store does it, with the headers that it is given; returns those that it would send. */
async function append(given: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const headers = { ...given };
  const subjects = ["bank.account.alice"];
  const message: AppendTrace = { stream, subjects, commitId: "c1", events: 1, headers };
  await appendTracing.promise(async () => {
    await Promise.resolve();
    Object.assign(message, { position: 9, version: 8, replayed: false });
  }, message);
  return headers;
}

/** As a host does it: load, decide, meet a conflict, decide again. */
async function send(message: SendMessage = command()): Promise<Record<string, string>> {
  return await actorChannels.send.promise(async () => {
    await load();
    decide(1, 1);
    const sent = await append(message.headers);
    decide(2, 1);
    Object.assign(message, { warm: false, waitedMs: 250, conflicts: 1 });
    Object.assign(message, { events: 1, version: 8, position: 9, replayed: false });
    return sent;
  }, message);
}

describe("the span of a command", () => {
  it("is of the request, and what it leads to is of it", async () => {
    const { tracer, span, spans } = observe();
    await inRequest(tracer, () => send());
    const sent = span("send");
    expect(parentOf(sent)).toBe(idOf(span("request")));
    for (const child of [...spans("load"), ...spans("decide"), ...spans("append")]) {
      expect(parentOf(child)).toBe(idOf(sent));
    }
    expect(spans("").map(({ name }) => name)).toEqual([
      "load account",
      "decide account",
      "append BANK",
      "decide account",
      "send account",
      "request",
    ]);
    expect(spans("").map(({ kind }) => kind)).toEqual([
      SpanKind.CLIENT,
      SpanKind.INTERNAL,
      SpanKind.PRODUCER,
      SpanKind.INTERNAL,
      SpanKind.INTERNAL,
      SpanKind.INTERNAL,
    ]);
  });

  it("says what came of it", async () => {
    const { span, spans } = observe();
    await send();
    const of = {
      "messaging.destination.name": stream,
      "annal.actor.type": "account",
      "annal.actor.id": "alice",
    };
    expect(span("send").attributes).toEqual({
      ...of,
      "annal.command.type": "Withdraw",
      "annal.command.id": "c1",
      "annal.actor.warm": false,
      "annal.actor.waited": 0.25,
      "annal.actor.conflicts": 1,
      "annal.events": 1,
      "annal.version": 8,
      "annal.position": 9,
      "annal.replayed": false,
    });
    expect(span("load").attributes).toEqual({
      ...of,
      "messaging.system.name": "nats",
      "messaging.operation.name": "load",
      "messaging.operation.type": "receive",
      "annal.actor.load.why": "cold",
      "annal.actor.load.snapshot_version": 5,
      "annal.commits": 2,
      "annal.version": 7,
    });
    expect(spans("decide")[1]?.attributes).toEqual({
      ...of,
      "annal.command.type": "Withdraw",
      "annal.version": 7,
      "annal.attempt": 2,
      "annal.events": 1,
    });
  });

  it("gives way in the headers to that of the append", async () => {
    const { span } = observe();
    const message = command({ other: "x" });
    const sent = await send(message);
    expect(message.headers).toEqual({ other: "x", traceparent: traceparentOf(span("send")) });
    expect(sent).toEqual({ other: "x", traceparent: traceparentOf(span("append")) });
  });

  it("is the parent of its append wherever that runs", async () => {
    const { tracer, span } = observe();
    const message = command();
    let hand: (headers: Record<string, string>) => void = () => {};
    const handed = new Promise<Record<string, string>>((resolve) => (hand = resolve));
    const elsewhere = inRequest(tracer, async () => append(await handed));
    await actorChannels.send.promise(async () => {
      hand(message.headers);
      return await elsewhere;
    }, message);
    expect(parentOf(span("append"))).toBe(idOf(span("send")));
  });

  it("leaves the trace that the caller of the command names in its headers", async () => {
    const { span } = observe();
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    const sent = await send(command({ traceparent }));
    expect(sent).toEqual({ traceparent });
    expect(parentOf(span("send"))).toBe("b".repeat(16));
    expect(parentOf(span("append"))).toBe(idOf(span("send")));
  });

  it("is not the parent of what the caller began a span of its own for", async () => {
    const { tracer, span } = observe();
    await actorChannels.send.promise(async () => {
      await inRequest(tracer, () => append({}));
    }, command());
    expect(parentOf(span("append"))).toBe(idOf(span("request")));
  });

  it("does not mix commands that run at the same time", async () => {
    const { spans } = observe();
    await Promise.all([send(), send(), send()]);
    for (const sent of spans("send")) {
      const children = spans("").filter((span) => parentOf(span) === idOf(sent));
      expect(children.map(({ name }) => name)).toEqual([
        "load account",
        "decide account",
        "append BANK",
        "decide account",
      ]);
    }
  });

  it("says that its decision refused it, and what is counted of it has no text of the error", async () => {
    const { span, points } = observe();
    const refusal = new InsufficientFunds("alice has 5");
    const sending = actorChannels.send.promise(async () => {
      actorChannels.decide.sync(
        () => {
          throw refusal;
        },
        { stream, actor, command: "Withdraw", version: 7, attempt: 1 },
      );
    }, command());
    await expect(sending).rejects.toBe(refusal);
    for (const name of ["send", "decide"]) {
      expect(span(name).status).toEqual({ code: SpanStatusCode.ERROR, message: "alice has 5" });
      expect(span(name).attributes["error.type"]).toBe("InsufficientFunds");
    }
    const attributes = {
      "messaging.destination.name": stream,
      "annal.actor.type": "account",
      "error.type": "InsufficientFunds",
    };
    expect(attributesOf(await points("annal.actor.send.duration"))).toEqual([attributes]);
    expect(attributesOf(await points("annal.actor.decisions"))).toEqual([attributes]);
  });

  it.each([
    [new VersionConflictError(actor, 1, 2), "version_conflict"],
    [new TypeError("x"), "TypeError"],
    [new DOMException("x", "AbortError"), "AbortError"],
    [new DOMException("x", "TimeoutError"), "TimeoutError"],
    [new DOMException("x", ""), "_OTHER"],
    ["text", "_OTHER"],
    [undefined, "_OTHER"],
    [Object.create(null), "_OTHER"],
    [new (class extends Error {})("x"), "_OTHER"],
  ])("ends however it failed: %j", async (error, errorType) => {
    const { span, points } = observe();
    const sending = actorChannels.send.promise(() => Promise.reject(error), command());
    await expect(
      sending.then(
        () => "sent",
        () => "failed",
      ),
    ).resolves.toBe("failed");
    expect(span("send").attributes["error.type"]).toBe(errorType);
    expect(span("send").status.code).toBe(SpanStatusCode.ERROR);
    expect(sumsBy(await points("annal.actor.send.duration"), "error.type")).toEqual({
      [errorType]: 1,
    });
  });
});

describe("the metrics of actors", () => {
  it("measure commands, loads, decisions and conflicts", async () => {
    const { points } = observe();
    await send();
    await send();
    const of = ["messaging.destination.name", "annal.actor.type"];
    const two = { "BANK account": 2 };
    expect(sumsBy(await points("annal.actor.send.duration"), ...of)).toEqual(two);
    expect(sumsBy(await points("annal.actor.decisions"), ...of)).toEqual({ "BANK account": 4 });
    expect(
      sumsBy(await points("annal.actor.load.duration"), ...of, "annal.actor.load.why"),
    ).toEqual({
      "BANK account cold": 2,
    });
    expect(await points("annal.actor.send.conflicts")).toMatchObject([
      { value: { count: 2, sum: 2 } },
    ]);
    expect(JSON.stringify(await points("annal.actor.send.duration"))).not.toContain("alice");
  });

  it("measure seconds", async () => {
    const { points } = observe();
    await send();
    const [point] = await points("annal.actor.send.duration");
    if (typeof point?.value !== "object") throw new Error("expected a histogram");
    expect(point.value.max).toBeGreaterThan(0);
    expect(point.value.max).toBeLessThan(30);
  });

  it("count the snapshots of actors, projections and ledgers", async () => {
    const { points } = observe();
    const common = { bytes: 1, durationMs: 1, reason: undefined };
    const what = "written";
    const snapshot = { stream, actor, version: 1, ...common };
    actorChannels.snapshot.publish({ ...snapshot, what });
    actorChannels.snapshot.publish({ ...snapshot, what: "ignored" });
    projectionChannels.snapshot.publish({ projection: "p", what, entries: 1, ...common });
    ledgerChannels.snapshot.publish({ ledger: "l", what, version: 1, chunks: 1, ...common });
    const said = await points("annal.snapshots");
    expect(sumsBy(said, "annal.snapshot.of", "annal.snapshot.outcome")).toEqual({
      "actor written": 1,
      "actor ignored": 1,
      "projection written": 1,
      "ledger written": 1,
    });
  });

  it("measure the commits of ledgers, and name none of them", async () => {
    const { points } = observe();
    const commit = { ledger: "secret", commands: 40, entries: 38, bytes: 1, version: 9 };
    ledgerChannels.commit.publish({ ...commit, durationMs: 5 });
    ledgerChannels.commit.publish({ ...commit, durationMs: 1, entries: 0 });
    ledgerChannels.commit.publish({ ...commit, durationMs: undefined, version: undefined });
    const commands = await points("annal.ledger.commit.commands");
    expect(sumsBy(commands, "annal.ledger.commit.outcome")).toEqual({
      stored: 1,
      nothing: 1,
      conflict: 1,
    });
    const durations = await points("annal.ledger.commit.duration");
    expect(durations).toMatchObject([{ value: { sum: 0.005 } }, { value: { sum: 0.001 } }]);
    expect(JSON.stringify([commands, durations])).not.toContain("secret");
  });
});
