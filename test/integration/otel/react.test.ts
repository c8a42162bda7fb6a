import { context, SpanKind } from "@opentelemetry/api";
import { describe, expect, it } from "vitest";
import { eventually } from "../../support/server.ts";
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
import { Notes, openShop, place, react } from "../projection/reactor-stage.ts";
import type { PhaseMessage } from "../../../src/projection/index.ts";
import { collect } from "../store/bank.ts";
import { listenTo } from "../store/listening.ts";

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

  it("goes on in the spans that the handler begins in its context", async () => {
    const { telemetry, tracer, span, spans } = observe();
    const store = await openShop();
    const notes = new Notes(async (n) => {
      await context.with(telemetry.context(), async () => {
        await tracer.startActiveSpan("mail", async (mail) => {
          const heard = { type: "Heard", data: `placed ${n}` } as const;
          await store.append({ type: "noise", id: "n" }, [heard], { expectedVersion: "any" });
          mail.end();
        });
      });
    });
    await react(store, notes);
    await place(store, 1);
    await eventually(() => expect(spans("handle")).toHaveLength(1));
    expect(parentOf(span("mail"))).toBe(idOf(span("handle")));
    expect(spans("append").map(parentOf)).toEqual([undefined, idOf(span("mail"))]);
    expect(telemetry.context()).toBe(context.active());
  });

  it("is linked to an append whose writer spelled the header otherwise", async () => {
    const { span, spans } = observe();
    const store = await openShop();
    const id = "b7ad6b7169203331";
    const headers = { Traceparent: `00-0af7651916cd43dd8448eb211c80319c-${id}-01` };
    const placed = { type: "Placed", data: { n: 1 } } as const;
    const actor = { type: "order", id: "o1" } as const;
    await store.append(actor, [placed], { expectedVersion: 0, headers });
    await react(store, new Notes());
    await eventually(() => expect(spans("handle")).toHaveLength(1));
    expect(span("handle").links.map((link) => link.context.spanId)).toEqual([id]);
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

describe("the phases of a reactor", () => {
  it("name its stream, and no version", async () => {
    const { points } = observe();
    const store = await openShop();
    const told = listenTo<PhaseMessage>("annal:projection:phase", store.stream);
    const reactor = await react(store, new Notes());
    await eventually(() => expect(reactor.status().phase).toBe("live"));
    await reactor.close();
    const common = { stream: store.stream, projection: "mailer", version: undefined };
    expect(told.at(-1)).toEqual({ ...common, phase: "stopped", error: undefined });
    const changes = await points("annal.projection.phase_changes");
    expect(attributesOf(changes)).toContainEqual({
      "messaging.destination.name": store.stream,
      "messaging.consumer.group.name": "mailer",
      "annal.projection.phase": "stopped",
    });
  });
});
