import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Attributes,
  type Context,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import { actorChannels, type SendMessage } from "../actor/diagnostics.ts";
import type { Ended, Tracing } from "../internal/tracing.ts";
import {
  type HandleMessage,
  projectionChannels,
  type UnitMessage,
} from "../projection/diagnostics.ts";
import { type AppendTrace, appendTracing } from "../store/diagnostics.ts";
import { Attribute } from "./attributes.ts";
import type { Carrier } from "./carrier.ts";
import {
  appendEnd,
  appendStart,
  decideEnd,
  decideStart,
  handleStart,
  loadEnd,
  loadStart,
  sendEnd,
  sendStart,
  type SpanStart,
  unitMs,
  unitSpan,
} from "./describe.ts";
import type { Durations } from "./durations.ts";
import { errorTypeOf } from "./error-type.ts";
import { quietly } from "./quietly.ts";

/** Where an operation runs. */
interface Place {
  /** With the operation's span. */
  readonly context: Context;
  /** What was active around it: where something else is, somebody has begun a span inside the operation. */
  readonly around: Context;
}

/** An operation that has begun and not ended. */
interface Operation {
  readonly span: Span;
  readonly startedAt: number;
}

/** What is done with the operations of a channel. */
interface Course<Message extends object> {
  readonly channel: Tracing<Message>;
  readonly begin: (message: Message) => Place;
  /** What is known of it at its end. */
  readonly outcome: (message: Message) => Attributes;
  readonly record: (message: Message, seconds: number, errorType: string | undefined) => void;
}

/**
 * Makes spans of what is said on the tracing channels, each the child of the one in which it runs; what comes of an event
 * is linked to the event's append.
 */
export class Operations {
  readonly #tracer: Tracer;
  readonly #carrier: Carrier;
  readonly #durations: Durations;
  readonly #places = new AsyncLocalStorage<Place | undefined>();
  readonly #begun = new WeakMap<object, Operation>();
  /** The commands under way, by what was written of them into the headers of their commits. */
  readonly #sends = new Map<string, { readonly message: SendMessage; readonly context: Context }>();

  constructor(tracer: Tracer, carrier: Carrier, durations: Durations) {
    this.#tracer = tracer;
    this.#carrier = carrier;
    this.#durations = durations;
  }

  /** @returns what ends it */
  follow(): (() => void)[] {
    const { append, send, load, decide, handle } = this.#durations;
    const plain = <Message extends object>(start: (message: Message) => SpanStart) => {
      return (message: Message): Place => this.#begin(message, start(message), this.#parent());
    };
    const stops = [
      this.#follow({
        channel: appendTracing,
        begin: (message) => this.#beginAppend(message),
        outcome: appendEnd,
        record: append,
      }),
      this.#follow({
        channel: actorChannels.send,
        begin: (message) => this.#beginSend(message),
        outcome: (message) => {
          const key = this.#carrier.keyOf(message.headers);
          if (this.#sends.get(key)?.message === message) this.#sends.delete(key);
          return sendEnd(message);
        },
        record: send,
      }),
      this.#follow({
        channel: actorChannels.load,
        begin: plain(loadStart),
        outcome: loadEnd,
        record: load,
      }),
      this.#follow({
        channel: actorChannels.decide,
        begin: plain(decideStart),
        outcome: decideEnd,
        record: decide,
      }),
      this.#follow({
        channel: projectionChannels.handle,
        begin: (message) => this.#beginHandle(message),
        outcome: () => ({}),
        record: handle,
      }),
    ];
    return [...stops, () => this.#sends.clear(), () => this.#places.disable()];
  }

  /** What the caller runs in: the active context, or that of the operation around it. */
  context(): Context {
    return this.#parent();
  }

  /** A unit is told when it is over: its span begins in the past. It is of no trace, but linked to those of its commits. */
  unit(message: UnitMessage): void {
    if (message.events === 0) return;
    const { name, ...options } = unitSpan(message);
    const links = this.#linksTo(message.headers);
    const endedAt = Date.now();
    const startTime = endedAt - unitMs(message);
    const span = this.#tracer.startSpan(name, { ...options, links, startTime }, ROOT_CONTEXT);
    span.end(endedAt);
  }

  /** A reactor goes on for as long as the process: its handling of an event is of no trace around it. */
  #beginHandle(message: HandleMessage): Place {
    const links = this.#linksTo([message.headers]);
    return this.#begin(message, { ...handleStart(message), links }, ROOT_CONTEXT);
  }

  #linksTo(headers: readonly Readonly<Record<string, string>>[]): Link[] {
    return this.#carrier.spansOf(headers).map((spanContext) => ({ context: spanContext }));
  }

  #follow<Message extends object>(course: Course<Message>): () => void {
    const { channel, begin } = course;
    return channel.follow(
      this.#places,
      (message) => quietly(() => begin(message), this.#places.getStore()),
      (message) => quietly(() => this.#end(course, message), undefined),
    );
  }

  #beginAppend(message: AppendTrace): Place {
    const { headers } = message;
    const sender = this.#sends.get(this.#carrier.keyOf(headers));
    const parent = sender?.context ?? this.#parentBeside(headers);
    const place = this.#begin(message, appendStart(message), parent);
    if (sender !== undefined) this.#carrier.clear(headers);
    this.#carrier.add(place.context, headers);
    return place;
  }

  #beginSend(message: SendMessage): Place {
    const { headers } = message;
    const place = this.#begin(message, sendStart(message), this.#parentBeside(headers));
    if (this.#carrier.add(place.context, headers)) {
      this.#sends.set(this.#carrier.keyOf(headers), { message, context: place.context });
    }
    return place;
  }

  /** The context to begin in: that of the operation around, unless the caller has begun a span inside of it. */
  #parent(): Context {
    const active = context.active();
    const place = this.#places.getStore();
    return place !== undefined && place.around === active ? place.context : active;
  }

  /** The same where the caller's own headers may name a trace: what no span is active for goes on with that one. */
  #parentBeside(headers: Readonly<Record<string, string>>): Context {
    const parent = this.#parent();
    return trace.getSpan(parent) === undefined ? this.#carrier.extend(parent, headers) : parent;
  }

  #begin(
    message: object,
    { name, ...options }: SpanStart & { readonly links?: Link[] },
    parent: Context,
  ): Place {
    const span = this.#tracer.startSpan(name, options, parent);
    this.#begun.set(message, { span, startedAt: performance.now() });
    return { context: trace.setSpan(parent, span), around: context.active() };
  }

  #end<Message extends object>(course: Course<Message>, message: Ended<Message>): void {
    const operation = this.#begun.get(message);
    if (operation === undefined) return;
    this.#begun.delete(message);
    const { span, startedAt } = operation;
    const seconds = (performance.now() - startedAt) / 1_000;
    const failed = "error" in message;
    const errorType = failed ? quietly(() => errorTypeOf(message.error), "_OTHER") : undefined;
    try {
      span.setAttributes(course.outcome(message));
      if (errorType !== undefined) fail(span, message.error, errorType);
    } finally {
      span.end();
      course.record(message, seconds, errorType);
    }
  }
}

function fail(span: Span, error: unknown, errorType: string): void {
  span.setAttribute(Attribute.errorType, errorType);
  const text = quietly(() => (error instanceof Error ? error.message : String(error)), errorType);
  span.setStatus({ code: SpanStatusCode.ERROR, message: text });
  span.recordException(error instanceof Error ? error : text);
}
