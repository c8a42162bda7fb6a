import { headers, type Msg } from "@nats-io/nats-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReadTimeoutError, ServerRefusedError } from "../../../src/errors.ts";
import { DirectReader } from "../../../src/nats/direct.ts";
import { freshStream, natsUrl } from "../../support/server.ts";
import { bounds, type BucketStage, openBucketStage } from "./bucket-stage.ts";

let stage: BucketStage;

beforeAll(async () => {
  stage = await openBucketStage(natsUrl());
});
afterAll(() => stage.close());

/** Answers the direct gets of a stream that is not there, as servers do that are hard to bring there. */
function answering(
  answer: (request: Msg, count: number) => void,
  maxInFlight = 8,
): {
  reader: DirectReader;
  retries: string[];
} {
  const stream = freshStream();
  let count = 0;
  stage.nc.subscribe(`$JS.API.DIRECT.GET.${stream}`, {
    callback: (_error, request) => answer(request, ++count),
  });
  const retries: string[] = [];
  const onRetry = (reason: string): void => void retries.push(reason);
  const reader = new DirectReader(stage.connection, stream, "$JS.API", maxInFlight, onRetry);
  return { reader, retries };
}

function message(request: Msg, sequence: number): void {
  const block = headers();
  block.set("Nats-Subject", `s.${sequence}`);
  block.set("Nats-Sequence", String(sequence));
  block.set("Nats-Time-Stamp", "2026-01-01T00:00:00Z");
  request.respond("x", { headers: block });
}

function status(request: Msg, code: number, description: string, pending = 0): void {
  const block = headers(code, description);
  block.set("Nats-Num-Pending", String(pending));
  request.respond("", { headers: block });
}

describe("DirectReader.multiLast", () => {
  it("asks again where a message was replaced before the server came to it", async () => {
    const { reader, retries } = answering((request, count) => {
      if (count === 1) status(request, 404, "Message Not Found");
      if (count > 1) message(request, 7);
      if (count === 2) status(request, 404, "Message Not Found");
      if (count === 3) status(request, 204, "EOB");
    });
    const found = await reader.multiLast(["s.7", "s.8"], bounds);
    expect(found.map(({ sequence }) => sequence)).toEqual([7]);
    expect(retries).toHaveLength(2);
  });

  it("finds nothing where no subject has a message", async () => {
    const { reader, retries } = answering((request) => status(request, 404, "No Results"));
    expect(await reader.multiLast(["s.7"], bounds)).toEqual([]);
    expect(retries).toEqual([]);
  });

  it("refuses an answer that the server cut", async () => {
    const { reader } = answering((request) => {
      message(request, 7);
      status(request, 204, "EOB", 2);
    });
    await expect(reader.multiLast(["s.7"], bounds)).rejects.toThrow(ServerRefusedError);
  });

  it("refuses more subjects than the server takes", async () => {
    const { reader } = answering(() => {});
    const subjects = Array.from({ length: 1_025 }, (_, index) => `s.${index}`);
    await expect(reader.multiLast(subjects, bounds)).rejects.toThrow(RangeError);
  });
});

describe("a read that waits for others", () => {
  /** The order in which reads fail. */
  async function ends(reads: Readonly<Record<string, Promise<unknown>>>): Promise<string[]> {
    const order: string[] = [];
    const waits = Object.entries(reads).map(async ([name, read]) => {
      await expect(read).rejects.toThrow(ReadTimeoutError);
      order.push(name);
    });
    await Promise.all(waits);
    return order;
  }

  it("gives up at its own deadline, and takes no place with it", async () => {
    let deaf = true;
    const { reader } = answering((request) => {
      if (!deaf) message(request, 7);
    }, 1);
    const running = reader.bySequence(7, { timeoutMs: 1_000 });
    const waiting = reader.bySequence(7, { timeoutMs: 100 });
    await expect(waiting).rejects.toThrow(/within 100 ms \(1 other reads are in flight\)/);
    const more = reader.bySequence(7, { timeoutMs: 100 });
    expect(await ends({ running, more })).toEqual(["more", "running"]);
    deaf = false;
    expect(await reader.bySequence(7, bounds)).toMatchObject({ sequence: 7 });
  });

  it.each([
    ["", undefined],
    [" that can be aborted", new AbortController().signal],
  ])("asks again in time where the first request of a read%s was lost", async (_, signal) => {
    const { reader, retries } = answering((request, count) => {
      if (count > 1) message(request, 7);
    });
    expect(await reader.bySequence(7, { timeoutMs: 4_000, signal })).toMatchObject({ sequence: 7 });
    expect(retries).toHaveLength(1);
  });

  it("has what the wait left of its time, not all of it again", async () => {
    const { reader } = answering(() => {}, 1);
    const { reader: other } = answering(() => {});
    const order = await ends({
      first: reader.bySequence(7, { timeoutMs: 300 }),
      second: reader.bySequence(7, { timeoutMs: 400 }),
      elsewhere: other.bySequence(7, { timeoutMs: 600 }),
    });
    expect(order).toEqual(["first", "second", "elsewhere"]);
  });

  it("rejects with its signal's reason", async () => {
    const { reader } = answering(() => {}, 1);
    const running = ends({ running: reader.bySequence(7, { timeoutMs: 200 }) });
    const controller = new AbortController();
    const waiting = reader.bySequence(7, { timeoutMs: 10_000, signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await running;
  });
});
