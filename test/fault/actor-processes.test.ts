import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { account } from "../integration/actor/actor-account.ts";
import { ActorStage } from "../integration/actor/actor-stage.ts";
import { eventually } from "../support/server.ts";
import { ActorChild } from "./actor-child.ts";
import { auditActors, fund } from "./actor-load.ts";

let server: NatsServer;
let stage: ActorStage;
let children: ActorChild[] = [];
const ACCOUNTS = 5;

beforeAll(async () => {
  server = await startServer({ sync: "default" });
});

afterAll(() => server.stop());

beforeEach(async () => {
  stage = await ActorStage.open(server.url);
  await fund(stage.external, ACCOUNTS, 100);
  const names = ["p0-", "p1-", "p2-"];
  children = await Promise.all(
    names.map((name) => ActorChild.start(name, server.url, stage.stream)),
  );
});

afterEach(async () => {
  await Promise.all(children.map((child) => child.kill()));
  await stage[Symbol.asyncDispose]();
});

/** What hosts say of all accounts must be what stands in the stream. */
async function expectStates(statesOf: (actor: string) => readonly unknown[]): Promise<void> {
  const host = await stage.host();
  for (let at = 0; at < ACCOUNTS; at++) {
    const id = `account-${at}`;
    expect(await host.state(account(id))).toEqual(statesOf(id).at(-1));
  }
}

describe("three hosts in three processes that race on a few actors", () => {
  it("conserve money, and do each acknowledged transfer once", async () => {
    const task = { accounts: ACCOUNTS, lanes: 8, atMs: Date.now() + 100, durationMs: 4_000 };
    const reports = await Promise.all(children.map((child) => child.run(task)));
    expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
    const done = children.flatMap(({ told }) => told);
    const audit = await auditActors(server.url, stage.stream, done);
    expect(audit.total).toBe(ACCOUNTS * 100);
    await expectStates((actor) => audit.statesOf(actor));
    // had they not met, it would prove nothing
    expect(Math.min(...reports.map(({ conflicts }) => conflicts))).toBeGreaterThan(0);
    expect(Math.min(...children.map(({ told }) => told.length))).toBeGreaterThan(0);
  }, 60_000);

  it("go on when one of them is killed; what it was told stands, and nothing twice", async () => {
    const task = { accounts: ACCOUNTS, lanes: 8, atMs: Date.now() + 100, durationMs: 4_000 };
    const [ended, ...living] = children.map((child) => child.run(task));
    const killed = ended?.catch((error: unknown) => String(error));
    const [victim] = children;
    await eventually(() => (victim?.told.length ?? 0) > 10, { timeoutMs: 20_000 });
    await victim?.kill();
    expect(await killed).toMatch(/ended with SIGKILL/);
    const reports = await Promise.all(living);
    expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
    const done = children.flatMap(({ told }) => told);
    const untold = (id: string): boolean => id.startsWith("p0-");
    const audit = await auditActors(server.url, stage.stream, done, untold);
    expect(audit.total).toBe(ACCOUNTS * 100);
    await expectStates((actor) => audit.statesOf(actor));
  }, 60_000);
});
