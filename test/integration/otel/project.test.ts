import { SpanKind } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { describe, expect, it, onTestFinished } from "vitest";
import { kvState, memoryState, type UnitMessage } from "../../../src/projection/index.ts";
import { projectionChannels } from "../../../src/projection/diagnostics.ts";
import { eventually } from "../../support/server.ts";
import { freshBucket, openScripts, start, sums } from "../projection/stage.ts";
import { failureOf } from "../store/bank.ts";
import { listenTo } from "../store/listening.ts";
import { idOf, inRequest, observe, parentOf, sumsBy } from "../../support/telemetry.ts";

const script = { type: "script", id: "a" } as const;

function added(n: number) {
  return { type: "Added", data: { key: "k", n } } as const;
}

/** What is told of a unit without events. */
function unitOf(stream: string, version: number) {
  return {
    stream,
    projection: "sums",
    version,
    events: 0,
    changes: 0,
    fetched: 0,
    fetchMs: 0,
    applyMs: 0,
    storeMs: 0,
    position: 1,
    headers: [],
  };
}

describe.each(["memory", "kv"] as const)("the span of a unit, with state in %s", (kind) => {
  const state = () => (kind === "memory" ? memoryState() : kvState({ bucket: freshBucket() }));

  it("is linked to the append that a request led to", async () => {
    const { tracer, span, spans } = observe();
    const store = await openScripts();
    const projector = await start(store, sums(2), { state: state() });
    const { position } = await inRequest(tracer, () =>
      store.append(script, [added(1), added(2)], { expectedVersion: 0 }),
    );
    await projector.waitFor(position);
    await eventually(() => expect(spans("project")).toHaveLength(1));
    const project = span("project");
    const append = span("append");
    expect(project.name).toBe("project sums");
    expect(project.kind).toBe(SpanKind.CONSUMER);
    expect(parentOf(project)).toBeUndefined();
    expect(project.links.map(({ context }) => [context.traceId, context.spanId])).toEqual([
      [append.spanContext().traceId, idOf(append)],
    ]);
    expect(append.spanContext().traceId).toBe(span("request").spanContext().traceId);
    expect(project.spanContext().traceId).not.toBe(append.spanContext().traceId);
    expect(project.attributes).toMatchObject({
      "messaging.system.name": "nats",
      "messaging.operation.name": "project",
      "messaging.operation.type": "process",
      "messaging.destination.name": store.stream,
      "messaging.consumer.group.name": "sums",
      "annal.projection.version": 2,
      "annal.events": 2,
      "annal.projection.changes": kind === "kv" ? 1 : 0,
      "annal.position": position,
      "annal.projection.lag": 0,
    });
    const [seconds, nanos] = project.duration;
    expect(seconds + nanos).toBeGreaterThan(0);
  });
});

describe("the links of a unit", () => {
  it("name each of its commits, the first 128 at most", async () => {
    const { spans } = observe();
    const store = await openScripts();
    for (let n = 1; n <= 130; n++) {
      await store.append(script, [added(n), added(n)], { expectedVersion: 2 * n - 2 });
    }
    const projector = await start(store, sums(), { state: memoryState() });
    await projector.caughtUp();
    await eventually(() => {
      const events = spans("project").map(({ attributes }) => Number(attributes["annal.events"]));
      expect(events.reduce((sum, count) => sum + count, 0)).toBe(260);
    });
    const linked = spans("project").flatMap(({ links }) =>
      links.map(({ context }) => context.spanId),
    );
    const appended = spans("append").map(idOf);
    expect(spans("project")).toHaveLength(1);
    expect(linked).toEqual(appended.slice(0, 128));
  });

  it("are none of commits without a trace, and of those that say what is none", async () => {
    const store = await openScripts();
    const strange = [undefined, { traceparent: "00-0-0-0" }, { other: "x" }];
    for (const [at, headers] of strange.entries()) {
      await store.append(script, [added(at)], { expectedVersion: at, headers });
    }
    const { spans } = observe();
    const told = listenTo<UnitMessage>("annal:projection:unit", store.stream);
    const projector = await start(store, sums(), { state: memoryState() });
    await projector.caughtUp();
    await eventually(() => expect(spans("project")).not.toHaveLength(0));
    expect(spans("project").flatMap(({ links }) => links)).toEqual([]);
    expect(told.flatMap(({ headers }) => headers)).toEqual(strange.slice(1));
  });
});

describe("the lag of a projection", () => {
  it("is what the last unit told, and none where that projection no longer runs", async () => {
    const { points, telemetry } = observe();
    const unit = unitOf("A", 1);
    projectionChannels.unit.publish({ ...unit, lagCommits: 7 });
    projectionChannels.unit.publish({ ...unit, version: 2, lagCommits: 3 });
    projectionChannels.unit.publish({ ...unit, projection: "other", lagCommits: 5 });
    projectionChannels.unit.publish({ ...unit, stream: "B", lagCommits: 2 });
    const lags = async () =>
      sumsBy(
        await points("annal.projection.lag"),
        "messaging.destination.name",
        "messaging.consumer.group.name",
        "annal.projection.version",
      );
    const enter = (phase: string, of: { readonly stream?: string; readonly version?: number }) => {
      const from = { stream: "A", projection: "sums", version: 1, ...of };
      projectionChannels.phase.publish({ ...from, phase, error: undefined });
    };
    const all = { "A sums 1": 7, "A sums 2": 3, "A other 1": 5, "B sums 1": 2 };
    expect(await lags()).toEqual(all);
    enter("failed", {});
    enter("catching_up", { version: 2 });
    enter("stopped", { version: 9 });
    expect(await lags()).toEqual(all);
    enter("stopped", {});
    expect(await lags()).toEqual({ ...all, "A sums 1": 0 });
    enter("standby", { version: 2 });
    enter("stopped", { stream: "B" });
    expect(await lags()).toEqual({
      "A sums 1": 0,
      "A sums 2": 0,
      "A other 1": 5,
      "B sums 1": 0,
    });
    projectionChannels.unit.publish({ ...unit, lagCommits: 4 });
    expect(await lags()).toMatchObject({ "A sums 1": 4 });
    telemetry.disable();
    projectionChannels.unit.publish({ ...unit, lagCommits: 6 });
    expect(await lags()).toMatchObject({ "A sums 1": 4 });
  });
});

describe("the lag of a projection, where each collection stands for itself", () => {
  it("is told in each of them, until annal is no longer observed", async () => {
    const reader = new PeriodicExportingMetricReader({
      exporter: new InMemoryMetricExporter(AggregationTemporality.DELTA),
      exportIntervalMillis: 1_000_000_000,
    });
    const meterProvider = new MeterProvider({ readers: [reader] });
    onTestFinished(() => meterProvider.shutdown());
    const { telemetry } = observe({ meterProvider });
    const lags = async () => {
      const { resourceMetrics } = await reader.collect();
      const told = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
      const lag = told.find(({ descriptor }) => descriptor.name === "annal.projection.lag");
      return lag?.dataPoints.map(({ value }) => value) ?? [];
    };
    projectionChannels.unit.publish({ ...unitOf("A", 1), lagCommits: 7 });
    expect(await lags()).toEqual([7]);
    expect(await lags()).toEqual([7]);
    telemetry.disable();
    expect(await lags()).toEqual([]);
  });
});

describe("the metrics of a projection", () => {
  it("count its events and units, and show its lag and its phases", async () => {
    const { points, spans } = observe();
    const store = await openScripts();
    const projector = await start(store, sums(3), { state: memoryState() });
    const first = await store.append(script, [added(1), added(2)], { expectedVersion: 0 });
    await projector.waitFor(first.position);
    const second = await store.append(script, [added(3)], { expectedVersion: 2 });
    await projector.waitFor(second.position);
    await eventually(() => expect(spans("project")).toHaveLength(2));
    const attributes = {
      "messaging.destination.name": store.stream,
      "messaging.consumer.group.name": "sums",
      "annal.projection.version": 3,
    };
    expect(await points("annal.projection.events")).toMatchObject([{ value: 3, attributes }]);
    expect(await points("annal.projection.lag")).toMatchObject([{ value: 0, attributes }]);
    expect(await points("messaging.process.duration")).toMatchObject([
      { value: { count: 2 }, attributes },
    ]);
    await projector.close();
    const changes = await points("annal.projection.phase_changes");
    const own = changes.filter(
      (point) => point.attributes["messaging.destination.name"] === store.stream,
    );
    expect(sumsBy(own, "annal.projection.phase")).toMatchObject({ catching_up: 1, stopped: 1 });
    expect(own).toMatchObject(own.map(() => ({ attributes })));
  });

  it("say that it failed, and go on showing how far it was behind", async () => {
    const { points } = observe();
    const store = await openScripts();
    const fine = sums(4);
    const apply: typeof fine.apply = (event, t) => {
      if (event.type === "Added" && event.data.n === 2) throw new RangeError("two");
      fine.apply(event, t);
    };
    await store.append(script, [added(1)], { expectedVersion: 0 });
    const projector = await start(store, { ...fine, apply }, { state: memoryState() });
    await projector.caughtUp();
    await store.append(script, [added(2)], { expectedVersion: 1 });
    await failureOf(projector.ended);
    const attributes = {
      "messaging.destination.name": store.stream,
      "messaging.consumer.group.name": "sums",
      "annal.projection.version": 4,
    };
    expect(await points("annal.projection.lag")).toMatchObject([{ value: 1, attributes }]);
    const changes = await points("annal.projection.phase_changes");
    const failed = { ...attributes, "annal.projection.phase": "failed" };
    expect(changes).toContainEqual(
      expect.objectContaining({
        value: 1,
        attributes: { ...failed, "error.type": "projection_failed" },
      }),
    );
  });
});
