import { connect } from "nats";
import { describe, expect, it } from "vitest";
import { natsUrl } from "../../support/server.ts";
import { runExample } from "./run-example.ts";

const left = /The stream (\S+) is left/;

describe("the example check", () => {
  it("C8 ends with 0 where the state is clean, and with 2 where nothing can be said", async () => {
    const { code, output } = await runExample("check", ["--events", "600"]);
    expect(output).toContain("✓ the check of the live system found nothing");
    expect(output).toContain("✓ the check of the state at rest found nothing");
    expect(code).toBe(0);
    const stream = left.exec(output)?.[1] ?? "";

    const again = await runExample("check", ["--stream", stream]);
    expect(again.output).toMatch(/_orders_v1: clean; \d+ keys at position 600/);
    expect(again.code).toBe(0);

    const nc = await connect({ servers: natsUrl() });
    await (await nc.jetstreamManager()).streams.purge(stream, { seq: 3 });
    await nc.close();
    const purged = await runExample("check", ["--stream", stream]);
    expect(purged.output).toContain("incomplete (stream");
    expect(purged.code).toBe(2);
    expect((await runExample("check", ["--stream", `${stream}_NOT`])).code).toBe(2);
  });

  it("C8 ends with 1 where there are findings, and gives a report that machines read", async () => {
    const damaged = await runExample("check", ["--events", "600", "--damage"]);
    expect(damaged.output).toMatch(/^ {2}different +steps +Payment received/m);
    expect(damaged.output).toMatch(/^ {2}missing +steps +Order placed/m);
    expect(damaged.output).toMatch(/^ {2}injected +steps +x/m);
    expect(damaged.output).toContain("✓ what was changed, deleted and added");
    expect(damaged.code).toBe(1);

    const stream = left.exec(damaged.output)?.[1] ?? "";
    const { code, output } = await runExample("check", ["--stream", stream, "--json"]);
    const report: unknown = JSON.parse(output.slice(output.indexOf("{")));
    expect(report).toMatchObject({ outcome: "findings", findingCount: 3, position: 600 });
    expect(code).toBe(1);
  });
});
