import { fileURLToPath } from "node:url";
import { connect } from "nats";
import { describe, expect, it } from "vitest";
import { freshStream, natsUrl } from "../../support/server.ts";
import { runExample } from "./run-example.ts";

const excerpt = fileURLToPath(new URL("../../fixtures/permit-log-excerpt.csv", import.meta.url));

/** The texts of the claims, and whether each holds. */
function claims(output: string): { readonly holds: boolean; readonly text: string }[] {
  return [...output.matchAll(/^ {2}([✓✗]) (.+)$/gm)].map(([, mark, text = ""]) => ({
    holds: mark === "✓",
    text,
  }));
}

describe("the replay-projection example", () => {
  it("ends like an undisturbed run although its projector is killed in the middle", async () => {
    const stream = freshStream();
    const args = ["--events", "2000", "--stream", stream];
    const { code, output } = await runExample("replay-projection", args);
    expect(output).toMatch(/killed with SIGKILL at case-states \d+ %/);
    expect(output).toContain("Proved: three read models of 2,000 events survived kill -9");
    expect(claims(output)).toHaveLength(10);
    expect(claims(output).filter(({ holds }) => !holds)).toEqual([]);
    expect(code).toBe(0);

    // A client that knows nothing of projections reads the same.
    const nc = await connect({ servers: natsUrl() });
    const bucket = await nc.jetstream().views.kv(`${stream}_resource-work_v1`, { bindOnly: true });
    const entry = await bucket.get("work.Desk=201");
    await nc.close();
    const activities = /^ {2}Desk 1 +(\d+) /m.exec(output)?.[1];
    expect(entry?.json()).toMatchObject({ activities: Number(activities) });
  });

  it("projects a real log, and begins anew on a stream that holds it already", async () => {
    const args = ["--input", excerpt, "--stream", freshStream()];
    const { code, output } = await runExample("replay-projection", args);
    expect(output).toMatch(/^ {2}T10 Determine necessity to stop indication +\d+ /m);
    expect(output).toContain("Proved: three read models of 124 events");
    expect(code).toBe(0);

    // Nothing is left to be written, so how far it is when it is killed is left to chance.
    const again = await runExample("replay-projection", args);
    const last = claims(again.output).slice(3);
    expect(last).toHaveLength(7);
    expect(last.filter(({ holds }) => !holds)).toEqual([]);
  });

  it("fails where the stream holds more than the log", async () => {
    const stream = freshStream();
    await runExample("multi-writer", ["--events", "400", "--writers", "2", "--stream", stream]);
    const args = ["--events", "300", "--stream", stream];
    const { code, output } = await runExample("replay-projection", args);
    expect(output).toContain("✗ each event took effect once");
    expect(output).toContain("✗ cases by state: the log itself");
    expect(output).toContain("✓ cases by state: an undisturbed run");
    expect(output).toContain("NOT PROVED");
    expect(code).toBe(1);
  });

  it.each([
    { args: ["--events", "0"], says: "--events: expected a whole number from 1" },
    { args: ["--events", "5"], says: "fewer than 10 events" },
    { args: ["--input", "none.csv"], says: "no such file" },
    { args: ["--unheard-of"], says: "--unheard-of" },
  ])("refuses $args with a message", async ({ args, says }) => {
    const { code, output } = await runExample("replay-projection", args);
    expect(output).toContain(says);
    expect(output).not.toMatch(/^\s+at /m);
    expect(code).toBe(1);
  });
});
