import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ClosedError, ReadTimeoutError, type RetryMessage } from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import type { Hold, Match } from "../../support/wire.ts";
import { collect, openConnection, openStore, take } from "./bank.ts";
import { listenTo } from "./listening.ts";
import { account, type BankStore, rejection, Stage, write } from "./version-cache-stage.ts";

/* The server answers what a reader needs to begin, or part of it, late or never. */

let stage: Stage;
let cursor: string;
let partition: Hold | undefined;
const alice = account("alice");

beforeEach(async () => {
  stage = await Stage.open();
  await write(stage.external, alice, 3);
  const [first] = await take(stage.external.readAll(), 1);
  cursor = first?.cursor ?? "";
});

afterEach(async () => {
  partition?.release();
  await stage[Symbol.asyncDispose]();
});

const starts = [
  ["at the start", () => ({})],
  ["now", () => ({ after: "now" })],
  ["behind a cursor", () => ({ after: cursor })],
] as const satisfies readonly [string, () => Parameters<BankStore["subscribe"]>[0]][];

describe.each(starts)("a subscription that begins %s while the server is silent", (_, options) => {
  it("closes at once", async () => {
    const store = await stage.store({ readTimeoutMs: 600_000 });
    partition = stage.wire.pause();
    const live = store.subscribe(options());
    const notCaughtUp = rejection(live.caughtUp);
    const events = collect(live);
    await partition.reached();
    await live.close();
    expect(await notCaughtUp).toBeInstanceOf(ClosedError);
    expect(await events).toEqual([]);
  });

  it("ends with its signal's reason", async () => {
    const store = await stage.store({ readTimeoutMs: 600_000 });
    partition = stage.wire.pause();
    const controller = new AbortController();
    const live = store.subscribe({ ...options(), signal: controller.signal });
    const notCaughtUp = rejection(live.caughtUp);
    const events = rejection(collect(live));
    await partition.reached();
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await notCaughtUp).toBe(reason);
    expect(await events).toBe(reason);
  });
});

describe("a reader that goes on behind a cursor which cannot be compared", () => {
  const comparison: Match = ({ direction, subject, text }) =>
    direction === "to_server" && subject.includes(".STREAM.MSG.GET.") && text.includes('"seq"');

  it("gives up after readTimeoutMs where it reads to the end", async () => {
    const store = await stage.store({ readTimeoutMs: 200 });
    stage.wire.drop(comparison, 1_000);
    expect(await rejection(collect(store.readAll({ after: cursor })))).toBeInstanceOf(
      ReadTimeoutError,
    );
  });

  it("says so and tries again where it reads without end, and hands nothing out before", async () => {
    const store = await stage.store({ readTimeoutMs: 200 });
    const retries = listenTo<RetryMessage>("annal:retry", stage.stream);
    const lost = stage.wire.drop(comparison, 1_000);
    const versions: number[] = [];
    const live = store.subscribe({ after: cursor });
    const reading = (async () => {
      for await (const { version } of live) versions.push(version);
    })();
    const told = (): RetryMessage[] =>
      retries.filter(({ reason }) => reason.includes("no answer within 200 ms"));
    await eventually(() => told().length > 1);
    expect(
      told()
        .slice(0, 2)
        .map(({ what, attempt }) => [what, attempt]),
    ).toEqual([
      ["read", 1],
      ["read", 2],
    ]);
    expect(versions).toEqual([]);
    lost.stop();
    await eventually(() => expect(versions).toEqual([2, 3]));
    await live.close();
    await reading;
  });

  it("ends where the server refuses to answer", async () => {
    const nc = await openConnection();
    const refusal = { error: { code: 400, err_code: 10_025, description: "not for you" } };
    // Passes requests on to the server, all but one kind.
    nc.subscribe(`PASS.${stage.stream}.>`, {
      callback: (_error, request) => {
        const subject = request.subject.replace(`PASS.${stage.stream}`, "$JS.API");
        const isComparison = subject.includes(".STREAM.MSG.GET.");
        if (isComparison && request.string().includes('"seq"')) {
          request.respond(JSON.stringify(refusal));
        } else {
          const { reply = "", headers } = request;
          nc.publish(subject, request.data, { reply, ...(headers && { headers }) });
        }
      },
    });
    await nc.flush();
    const store = await openStore({ stream: stage.stream, apiPrefix: `PASS.${stage.stream}` });
    const refused = { code: "server_refused", errorCode: 10_025 };
    expect(await rejection(collect(store.subscribe({ after: cursor })))).toMatchObject(refused);
    expect(await rejection(collect(store.readAll({ after: cursor })))).toMatchObject(refused);
  });
});
