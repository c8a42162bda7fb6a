import { connect } from "nats";
import { describe, expect, it } from "vitest";
import { natsUrl } from "../../support/server.ts";
import { runExample } from "./run-example.ts";

const left = /The stream (\S+) is left/;
const TRANSACTIONS = ["--transactions", "600"];

describe("the example check-ledger", () => {
  it("C8 ends with 0 where the ledger is right, and with 2 where nothing can be said", async () => {
    const { code, output } = await runExample("check-ledger", TRANSACTIONS);
    expect(output).toContain("✓ the check found nothing while transactions were posted");
    expect(output).toContain("✓ the check of what is stored found nothing");
    expect(code).toBe(0);
    const stream = left.exec(output)?.[1] ?? "";

    const args = ["--servers", natsUrl(), "--stream", stream, "--ledger", "main"];
    const again = await runExample("check-ledger", args, "nats://127.0.0.1:1");
    expect(again.output).toMatch(/hash chain: intact up to version 601, [0-9a-f]{64}/);
    expect(again.output).toContain("state: clean");
    expect(again.code).toBe(0);

    const nc = await connect({ servers: natsUrl() });
    await (await nc.jetstreamManager()).streams.purge(stream, { seq: 4 });
    await nc.close();
    const purged = await runExample("check-ledger", [...args, "--json"]);
    const report: unknown = JSON.parse(purged.output.slice(purged.output.indexOf("{")));
    expect(report).toMatchObject({ outcome: "incomplete", chain: { intact: false, version: 0 } });
    expect(purged.code).toBe(2);
    expect((await runExample("check-ledger", ["--stream", `${stream}_NOT`])).code).toBe(2);
  });

  it("C8 ends with 1 where there are findings, and gives a report that machines read", async () => {
    const damaged = await runExample("check-ledger", [...TRANSACTIONS, "--damage"]);
    expect(damaged.output).toMatch(/^ {2}different +snapshot +main\.[ab]\.1\.0/m);
    expect(damaged.output).toContain("✓ the byte that was changed in the snapshot was found");
    expect(damaged.code).toBe(1);

    const stream = left.exec(damaged.output)?.[1] ?? "";
    const { code, output } = await runExample("check-ledger", ["--stream", stream, "--json"]);
    const report: unknown = JSON.parse(output.slice(output.indexOf("{")));
    expect(report).toMatchObject({
      outcome: "findings",
      findingCount: 1,
      ledger: "main",
      chain: { intact: true, version: 601 },
    });
    expect(code).toBe(1);
  });
});
