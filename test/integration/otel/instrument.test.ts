import { channel } from "node:diagnostics_channel";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  type Context,
  diag,
  type DiagLogger,
  DiagLogLevel,
  type Meter,
  type MeterProvider,
  type TextMapPropagator,
  type TextMapSetter,
  trace,
} from "@opentelemetry/api";
import { BasicTracerProvider, type SpanProcessor } from "@opentelemetry/sdk-trace-base";
import { describe, expect, it, onTestFinished } from "vitest";
import { actorChannels } from "../../../src/actor/diagnostics.ts";
import { ledgerChannels } from "../../../src/ledger/diagnostics.ts";
import {
  AlreadyInstrumentedError,
  instrument,
  type InstrumentOptions,
} from "../../../src/otel/index.ts";
import { projectionChannels } from "../../../src/projection/diagnostics.ts";
import { memoryState } from "../../../src/projection/index.ts";
import { appendTracing, channels } from "../../../src/store/diagnostics.ts";
import { eventually } from "../../support/server.ts";
import { openScripts, start, sums } from "../projection/stage.ts";
import { collect, failureOf, notes, openStore } from "../store/bank.ts";
import { observe } from "../../support/telemetry.ts";

const alice = { type: "account", id: "alice" } as const;

const all = [
  ...Object.entries(channels),
  ...Object.entries(actorChannels),
  ...Object.entries(projectionChannels),
  ...Object.entries(ledgerChannels),
  ["tracing", appendTracing] as const,
];

function heard(): string[] {
  const parts = ["start", "end", "asyncStart", "asyncEnd", "error"];
  const tracing = ["append", "actor:send", "actor:load", "actor:decide", "projection:handle"];
  const names = tracing.flatMap((name) => parts.map((part) => `tracing:annal:${name}:${part}`));
  return [
    ...all.filter(([, { hasSubscribers }]) => hasSubscribers).map(([name]) => name),
    ...names.filter((name) => channel(name).hasSubscribers),
  ];
}

describe("instrument", () => {
  it("listens to nothing before, and to nothing once it is disabled", async () => {
    expect(heard()).toEqual([]);
    const { telemetry, spans, points } = observe();
    expect(heard()).not.toEqual([]);
    telemetry.disable();
    expect(heard()).toEqual([]);
    telemetry.disable();
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    expect(spans("")).toEqual([]);
    expect(await points("annal.events.appended")).toEqual([]);
    expect((await collect(store.readCommits())).map(({ headers }) => headers)).toEqual([{}]);
  });

  it("is refused while an earlier one is in force, and not after", async () => {
    const { telemetry, spans } = observe();
    expect(() => instrument()).toThrow(AlreadyInstrumentedError);
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    expect(spans("append")).toHaveLength(1);
    telemetry.disable();
    const second = instrument();
    telemetry.disable();
    expect(() => instrument()).toThrow(AlreadyInstrumentedError);
    second[Symbol.dispose]();
    expect(heard()).toEqual([]);
  });

  it("disturbs nothing where no provider is registered", async () => {
    const telemetry = instrument();
    onTestFinished(() => telemetry.disable());
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    await failureOf(store.append(alice, notes(1), { expectedVersion: 0 }));
    expect((await collect(store.readCommits())).map(({ headers }) => headers)).toEqual([{}]);
  });

  it("takes the providers that are registered", async () => {
    const exported: string[] = [];
    const processor: SpanProcessor = {
      onStart: () => {},
      onEnd: ({ name }) => void exported.push(name),
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    const telemetry = instrument();
    onTestFinished(() => {
      telemetry.disable();
      trace.disable();
    });
    // After it: an application may register late.
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [processor] }));
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    expect(exported).toEqual([`append ${store.stream}`]);
  });

  it("writes and reads what the given propagator does", async () => {
    const propagator: TextMapPropagator = {
      inject: (context, carrier, setter) => {
        const found = trace.getSpanContext(context);
        if (found !== undefined) setter.set(carrier, "b3", `${found.traceId}-${found.spanId}-1`);
      },
      extract: (context, carrier, getter) => {
        const [traceId = "", spanId = ""] = String(getter.get(carrier, "b3")).split("-");
        return trace.setSpanContext(context, { traceId, spanId, traceFlags: 1, isRemote: true });
      },
      fields: () => ["b3"],
    };
    const { spans, span } = observe({ propagator });
    const store = await openScripts();
    const projector = await start(store, sums(), { state: memoryState() });
    const event = { type: "Added", data: { key: "k", n: 1 } } as const;
    const script = { type: "script", id: "a" } as const;
    const { position } = await store.append(script, [event], { expectedVersion: 0 });
    await projector.waitFor(position);
    await eventually(() => expect(spans("project")).toHaveLength(1));
    const { traceId, spanId } = span("append").spanContext();
    const [commit] = await collect(store.readCommits());
    expect(commit?.headers).toEqual({ b3: `${traceId}-${spanId}-1` });
    expect(span("project").links.map(({ context }) => context.spanId)).toEqual([spanId]);
  });
});

/** Does nothing but throw, whatever is asked of it. */
function hostile<T extends object>(): T {
  const thrower = (): never => {
    throw new Error("hostile");
  };
  return new Proxy({}, { get: () => thrower }) as T;
}

/** What is made is fine, and throws when it is used. */
function hostileMeterProvider(): MeterProvider {
  const meter = new Proxy({}, { get: () => () => hostile() });
  return { getMeter: () => meter as Meter };
}

describe("what OpenTelemetry throws", () => {
  const cases: readonly (readonly [string, () => InstrumentOptions])[] = [
    ["a tracer", () => ({ tracerProvider: { getTracer: () => hostile() } })],
    [
      "a span",
      () => ({ tracerProvider: { getTracer: () => ({ startSpan: () => hostile() }) as never } }),
    ],
    ["a meter's instruments", () => ({ meterProvider: hostileMeterProvider() })],
    ["a propagator", () => ({ propagator: hostile() })],
    [
      "all of them",
      () => ({
        tracerProvider: { getTracer: () => hostile() },
        meterProvider: hostileMeterProvider(),
        propagator: hostile(),
      }),
    ],
  ];

  it.each(cases)("reaches no operation where it comes from %s", async (_, options) => {
    const complaints: unknown[] = [];
    const log = { ...silent, error: (...said: unknown[]) => void complaints.push(said) };
    diag.setLogger(log, { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true });
    onTestFinished(() => diag.disable());
    await untilUsed(options());
    expect(complaints.length).toBeGreaterThan(0);
  });

  it("reaches no operation where the logger throws too", async () => {
    const log = { ...silent, error: () => hostile<{ fail(): void }>().fail() };
    diag.setLogger(log, { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true });
    onTestFinished(() => diag.disable());
    await untilUsed({ tracerProvider: { getTracer: () => hostile() }, propagator: hostile() });
  });

  it.each([
    ["x", "a\r\nNats-Rollup: all"],
    ["Nats-Rollup", "all"],
    ["Annal-Version", "9.9"],
    ["not a name", "x"],
    ["long", "x".repeat(2_000)],
    ["text", 7 as unknown as string],
  ])("gets no header %s: %j into a commit", async (name, value) => {
    const propagator: TextMapPropagator = {
      inject: (_: Context, carrier: unknown, setter: TextMapSetter) => {
        setter.set(carrier, name, value);
        setter.set(carrier, "fine", "yes");
      },
      extract: (context) => context,
      fields: () => [name, "fine"],
    };
    observe({ propagator });
    const store = await openStore();
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const [commit] = await collect(store.readCommits());
    expect(commit?.headers).toEqual({ fine: "yes" });
    expect(commit?.version).toBe(1);
  });
});

const silent: DiagLogger = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
  verbose: () => {},
};

/** Appends, fails to append, reads and projects; what is thrown in a listener would end the process of the test. */
async function untilUsed(options: InstrumentOptions): Promise<void> {
  const uncaught: unknown[] = [];
  const onUncaught = (error: unknown): void => void uncaught.push(error);
  process.on("uncaughtException", onUncaught);
  const telemetry = instrument(options);
  onTestFinished(() => {
    telemetry.disable();
    process.off("uncaughtException", onUncaught);
  });
  const store = await openScripts();
  const projector = await start(store, sums(), { state: memoryState() });
  const event = { type: "Added", data: { key: "k", n: 1 } } as const;
  const script = { type: "script", id: "a" } as const;
  const { position } = await store.append(script, [event], { expectedVersion: 0 });
  expect(await failureOf(store.append(script, [event], { expectedVersion: 0 }))).toMatchObject({
    code: "version_conflict",
  });
  await projector.waitFor(position);
  expect(await collect(store.read(script))).toHaveLength(1);
  await nextTurn();
  telemetry.disable();
  expect(uncaught).toEqual([]);
}
