import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { EventStore } from "../../../src/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";
import { runExample } from "./run-example.ts";

const excerpt = fileURLToPath(new URL("../../fixtures/permit-log-excerpt.csv", import.meta.url));

/** Appended, races lost and conflicts of all writers, from the table's last line. */
function totals(output: string): number[] {
  const line = output.split("\n").find((text) => /^ {2}all\b/.test(text)) ?? "";
  return line
    .split(/ {2,}/)
    .slice(2)
    .map((cell) => Number(cell.replaceAll(",", "")));
}

describe("the multi-writer example", () => {
  it("proves a generated log that several processes wrote, with conflicts", async () => {
    const args = ["--events", "1500", "--writers", "3", "--stream", freshStream()];
    const { code, output } = await runExample("multi-writer", args);
    expect(output).toMatch(/Proved: 1,500 events of \d+ actors, written by 3 processes/);
    expect(output).not.toContain("✗");
    const [rows, appended, racesLost, conflicts] = totals(output);
    expect(appended).toBe(1_500);
    expect(racesLost).toBeGreaterThan(0);
    expect(rows).toBe(1_500 + (racesLost ?? 0));
    expect(conflicts).toBeGreaterThan(0);
    expect(code).toBe(0);
  });

  it("replays a real log, whose types hold spaces, and leaves it on the stream", async () => {
    const stream = freshStream();
    const { code, output } = await runExample("multi-writer", [
      "--input",
      excerpt,
      "--stream",
      stream,
    ]);
    expect(output).toContain("Proved: 124 events of 20 actors, written by 4 processes");
    expect(code).toBe(0);

    await using store = await EventStore.connect({ servers: natsUrl(), stream, create: false });
    const types: string[] = [];
    for await (const event of store.read({ type: "case", id: "case-10011" }))
      types.push(event.type);
    expect(types).toEqual([
      "Confirmation of receipt",
      "T02 Check confirmation of receipt",
      "T03 Adjust confirmation of receipt",
      "T02 Check confirmation of receipt",
    ]);
  });

  it("takes other columns of a file", async () => {
    const args = ["--input", excerpt, "--stream", freshStream(), "--writers", "2"];
    const columns = ["--actor-column", "org:group", "--writer-column", "case:responsible"];
    const { code, output } = await runExample("multi-writer", [...args, ...columns]);
    expect(output).toContain("Proved: 124 events of 6 actors");
    expect(code).toBe(0);
  });

  it("proves a log of which a foreign client wrote a part, ids and types with any characters", async () => {
    const args = [
      "--events",
      "1000",
      "--writers",
      "2",
      "--foreign",
      "1",
      "--stream",
      freshStream(),
    ];
    const { code, output } = await runExample("multi-writer", args);
    expect(output).toMatch(/^ {2}2 +nats 2\.x +\d/m);
    expect(output).toContain("Proved: 1,000 events");
    expect(code).toBe(0);
  });

  it("stores nothing twice when it runs again on the same stream", async () => {
    const args = ["--events", "400", "--writers", "2", "--foreign", "1", "--stream", freshStream()];
    await runExample("multi-writer", args);
    const { code, output } = await runExample("multi-writer", args);
    expect(totals(output)[1]).toBe(0);
    expect(output).toContain("Proved: 400 events");
    expect(code).toBe(0);
  });

  it("fails where the stream holds another log already", async () => {
    const stream = freshStream();
    await runExample("multi-writer", ["--events", "300", "--writers", "2", "--stream", stream]);
    const args = ["--events", "300", "--seed", "2", "--writers", "2", "--stream", stream];
    const { code, output } = await runExample("multi-writer", args);
    expect(output).not.toContain("Proved");
    expect(code).not.toBe(0);
  });

  it.each([
    { args: ["--writers", "0"], says: "--writers: expected a whole number from 1 to 64" },
    { args: ["--foreign", "5"], says: "there are only 4 writers" },
    { args: ["--input", excerpt, "--actor-column", "case"], says: 'has no column "case"' },
    { args: ["--input", "none.csv"], says: "no such file" },
    { args: ["--unheard-of"], says: "--unheard-of" },
  ])("refuses $args with a message", async ({ args, says }) => {
    const { code, output } = await runExample("multi-writer", args);
    expect(output).toContain(says);
    expect(output).not.toMatch(/^\s+at /m);
    expect(code).toBe(1);
  });
});
