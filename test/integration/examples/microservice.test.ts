import { describe, expect, it } from "vitest";
import { Audit, type SeenCommit } from "../../../examples/microservice-proof/audit.ts";
import { sumOf } from "../../../examples/microservice-proof/instance.ts";
import { parseOptions } from "../../../examples/microservice-proof/options.ts";
import type { Answer } from "../../../examples/microservice-proof/requests.ts";
import type { AccountEvent } from "../../../examples/microservice/account.ts";
import { EventStore } from "../../../src/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";
import { runExample } from "./run-example.ts";

const few = ["--clients", "6", "--accounts", "8", "--seconds", "2"];

describe("the microservice example", () => {
  it("proves its stream although one instance was killed and another one told to end", async () => {
    const stream = freshStream("BANK");
    const { code, output } = await runExample("microservice", [...few, "--stream", stream]);
    expect(output).toContain("SIGKILL: instance 3 is gone in the middle of what it was at");
    expect(output).toMatch(/^ {2}instance 1 +\d+ +\d+ .*\d$/m);
    expect(output).toMatch(/^ {2}instance 2 +\d+ +\d+ .* stopped \(SIGTERM\)$/m);
    expect(output).toMatch(/^ {2}instance 3 +\d+ +\d+ .* killed \(SIGKILL\)$/m);
    expect(output).toMatch(/^ {2}[1-9][\d,]* of the repeated had been stored already/m);
    expect(output).not.toContain("✗");
    expect(output.match(/^ {2}✓/gm)).toHaveLength(11);
    expect(output).toMatch(/^Proved: [\d,]+ acknowledged requests through kill -9/m);
    expect(code).toBe(0);

    await using store = await EventStore.connect({ servers: natsUrl(), stream, create: false });
    const acknowledged = /^Proved: ([\d,]+)/m.exec(output)?.[1]?.replaceAll(",", "");
    expect(await store.head()).toBeGreaterThanOrEqual(Number(acknowledged));
  }, 120_000);

  it("takes no stream that holds events already", async () => {
    const stream = freshStream("BANK");
    await using store = await EventStore.connect({ servers: natsUrl(), stream });
    const event = { type: "Deposited", data: { amount: 1n } };
    await store.append({ type: "account", id: "a" }, [event], { expectedVersion: "any" });
    const { code, output } = await runExample("microservice", ["--stream", stream]);
    expect(output).toContain(`--stream ${stream} holds events already`);
    expect(output).not.toMatch(/^\s+at /m);
    expect(code).toBe(1);
  });

  it.each([
    { args: ["--instances", "2"], says: "--instances: expected a whole number from 3 to 16" },
    { args: ["--accounts", "1"], says: "--accounts: expected a whole number from 2" },
    { args: ["--unheard-of"], says: "--unheard-of" },
  ])("refuses $args with a message", ({ args, says }) => {
    expect(() => parseOptions(args)).toThrow(says);
  });

  it("adds up the samples of a metric, and of no other", () => {
    const text = 'a_sum{x="1"} 2\na_sum{x="2 3"} 4.5\na_summary 100\n# a_sum 7\nb_a_sum 9\n';
    expect(sumOf(text, "a_sum")).toBe(6.5);
    expect(sumOf(text, "c")).toBe(0);
  });
});

describe("the audit of the microservice", () => {
  const amount = 5n;
  const deposited: AccountEvent = { type: "Deposited", data: { amount: 9n } };
  const withdrawn: AccountEvent = { type: "Withdrawn", data: { amount: 3n } };
  const sent: AccountEvent = { type: "TransferSent", data: { to: "b", amount } };
  const received: AccountEvent = { type: "TransferReceived", data: { from: "a", amount } };
  const commit = (
    [position, id, version]: readonly [number, string, number],
    [key, commitId]: readonly [string, string],
    event: AccountEvent,
  ): SeenCommit => ({
    actor: { type: "account", id },
    commitId,
    position,
    firstVersion: version,
    version,
    metadata: { causationId: key },
    events: [event],
  });
  const stream: readonly SeenCommit[] = [
    commit([1, "a", 1], ["k1", "k1"], deposited),
    commit([2, "a", 2], ["k2", "k2@h/0"], sent),
    commit([3, "b", 1], ["k2", "k2@h/1"], received),
    commit([4, "b", 2], ["k3", "k3"], withdrawn),
  ];
  const done = { outcome: "acknowledged", replayed: false } as const;
  const transfer = { key: "k2", kind: "transfer", account: "a", to: "b", amount } as const;
  const answers: readonly Answer[] = [
    { key: "k1", kind: "deposit", account: "a", amount: 9n, version: 1, commitId: "k1", ...done },
    { ...transfer, version: 2, commitId: "k2@h/0", ...done },
    { key: "k3", kind: "withdraw", account: "b", amount: 3n, version: 2, commitId: "k3", ...done },
    { key: "k4", kind: "withdraw", account: "b", amount: 9n, outcome: "refused", inDoubt: false },
    { key: "k5", kind: "deposit", account: "b", amount: 9n, outcome: "refused", inDoubt: true },
  ];
  const told = new Map([
    ["a", { balance: 4n, version: 2 }],
    ["b", { balance: 2n, version: 2 }],
  ]);
  const violations = (commits: readonly SeenCommit[], balances = told): string[] => {
    const audit = new Audit(answers);
    for (const one of commits) audit.take(one);
    return audit
      .claims(balances)
      .flatMap((claim) => claim.violations.map((found) => `${claim.text}: ${found}`));
  };

  it("finds nothing where all is as it was told", () => {
    expect(violations(stream)).toEqual([]);
    const late = commit([5, "b", 3], ["k5", "k5"], deposited);
    const more = new Map(told).set("b", { balance: 11n, version: 3 });
    expect(violations([...stream, late], more)).toEqual([]);
  });

  it.each([
    {
      what: "a transfer that never arrived",
      commits: stream.slice(0, 2),
      says: ["the accounts hold 4", "k2@h: sent 1 times, received 0 times"],
    },
    {
      what: "a transfer that arrived with another amount",
      commits: stream.with(
        2,
        commit([3, "b", 1], ["k2", "k2@h/1"], {
          type: "TransferReceived",
          data: { from: "a", amount: 6n },
        }),
      ),
      says: ["k2@h: a sent 5 to b, b received 6 from a"],
    },
    {
      what: "halves that were not stored together",
      commits: stream.with(2, commit([9, "b", 1], ["k2", "k2@h/1"], received)),
      says: ["k2@h: its halves stand at 2 and 9"],
    },
    {
      what: "a request that was lost",
      commits: stream.slice(1),
      says: [
        "k1: acknowledged and nowhere in the stream",
        "a: -5 at version 2",
        "a: version 2 stands behind 0",
      ],
    },
    {
      what: "a request that was stored as something else",
      commits: stream.with(3, commit([4, "b", 2], ["k3", "k3"], deposited)),
      says: ["k3: acknowledged as k3 at version 2, found k3 at version 2, Deposited"],
    },
    {
      what: "a request that was stored twice",
      commits: [...stream, commit([5, "a", 3], ["k1", "k1b"], deposited)],
      says: ["k1: at positions 1, 5"],
    },
    {
      what: "a request that was refused and stored",
      commits: [...stream, commit([5, "b", 3], ["k4", "k4"], withdrawn)],
      says: ["k4: refused, at position 5"],
    },
    {
      what: "what nobody asked for",
      commits: [...stream, commit([5, "b", 3], ["k6", "k6"], deposited)],
      says: ["nothing is there that no client asked for: k6"],
    },
    {
      what: "an account that the instance knows otherwise",
      commits: [...stream, commit([5, "b", 3], ["k5", "k5"], deposited)],
      says: ["b: 11 at version 3, the instance says 2 at version 2"],
    },
    {
      what: "an account that only the instance knows",
      commits: stream,
      balances: new Map(told).set("c", { balance: 1n, version: 1 }),
      says: ["c: nothing, the instance says 1 at version 1"],
    },
    {
      what: "an account that the instance does not know",
      commits: stream,
      balances: new Map([...told].slice(1)),
      says: ["a: 4 at version 2, the instance says nothing"],
    },
  ])("finds $what", ({ commits, balances, says }) => {
    const found = violations(commits, balances);
    for (const text of says) expect(found).toContainEqual(expect.stringContaining(text));
  });
});
