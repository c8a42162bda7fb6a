import { SpanKind } from "@opentelemetry/api";
import { describe, expect, it } from "vitest";
import { eventually } from "../../support/server.ts";
import {
  idOf,
  inRequest,
  observe,
  parentOf,
  SpanStatusCode,
  sumsBy,
  traceparentOf,
} from "../../support/telemetry.ts";
import { Notes, openShop, place, react } from "../projection/reactor-stage.ts";
import { collect } from "../store/bank.ts";

describe("the span of a reactor's event", () => {
  it("is linked to its append, and what the handler appends is of it", async () => {
    const { tracer, span, spans } = observe();
    const store = await openShop();
    const notes = new Notes(async (n) => {
      const heard = { type: "Heard", data: `placed ${n}` } as const;
      await store.append({ type: "noise", id: "n" }, [heard], { expectedVersion: "any" });
    });
    await react(store, notes);
    await inRequest(tracer, () => place(store, 1));
    await eventually(() => expect(spans("handle")).toHaveLength(1));
    const [placed, answer] = spans("append");
    const handled = span("handle");
    expect(handled.name).toBe("handle mailer");
    expect(handled.kind).toBe(SpanKind.CONSUMER);
    expect(parentOf(handled)).toBeUndefined();
    expect(handled.links.map(({ context }) => context.spanId)).toEqual([placed && idOf(placed)]);
    expect(answer && parentOf(answer)).toBe(idOf(handled));
    expect(handled.attributes).toMatchObject({
      "messaging.system.name": "nats",
      "messaging.operation.name": "handle",
      "messaging.operation.type": "process",
      "messaging.destination.name": store.stream,
      "messaging.consumer.group.name": "mailer",
      "messaging.message.id": placed?.attributes["messaging.message.id"],
      "annal.actor.type": "order",
      "annal.actor.id": "o1",
      "annal.event.type": "Placed",
      "annal.version": 1,
      "annal.position": 1,
      "annal.attempt": 1,
    });
    const commits = await collect(store.readCommits());
    expect(commits[1]?.headers).toEqual({ traceparent: answer && traceparentOf(answer) });
  });

  it("is one for each attempt, and says how it failed", async () => {
    const { spans, points } = observe();
    const store = await openShop();
    const notes = new Notes((_, { attempt }) => {
      if (attempt === 1) throw new RangeError("not yet");
    });
    const reactor = await react(store, notes);
    await place(store, 1);
    await eventually(() => expect(reactor.status()).toMatchObject({ handled: 1, retries: 1 }));
    const [first, second] = spans("handle");
    expect(first?.status).toEqual({ code: SpanStatusCode.ERROR, message: "not yet" });
    expect(second?.status.code).toBe(SpanStatusCode.UNSET);
    expect(spans("handle").map(({ attributes }) => attributes["annal.attempt"])).toEqual([1, 2]);
    const durations = await points("messaging.process.duration");
    expect(sumsBy(durations, "messaging.consumer.group.name", "error.type")).toEqual({
      "mailer RangeError": 1,
      "mailer ": 1,
    });
  });
});
