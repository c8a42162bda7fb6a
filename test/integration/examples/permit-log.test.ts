import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { freshStream } from "../../support/server.ts";
import { runExample } from "./run-example.ts";

const log = fileURLToPath(new URL("../../../../shared/data/permit-log.csv", import.meta.url));
const there = existsSync(log);
if (!there) console.warn(`skips the suite over the whole permit log: ${log} is not there`);

describe.skipIf(!there)("the whole permit log of ../shared/data", () => {
  it.each([0, 1])(
    "is replayed by 4 processes, %i of them foreign",
    async (foreign) => {
      const args = ["--input", log, "--writers", "4", "--foreign", String(foreign)];
      const stream = ["--stream", freshStream("PERMITS")];
      const { code, output } = await runExample("multi-writer", [...args, ...stream]);
      expect(output).toContain("8,577 events of 1,434 actors, 27 types, 48 resources");
      expect(output).toContain("Proved: 8,577 events of 1,434 actors, written by 4 processes");
      expect(output.match(/^ {2}\d +nats 2\.x/gm)?.length ?? 0).toBe(foreign);
      expect(code).toBe(0);
    },
    120_000,
  );

  it("becomes three read models by a projector that is killed in the middle", async () => {
    const args = ["--input", log, "--stream", freshStream("PERMITS")];
    const { code, output } = await runExample("replay-projection", args);
    expect(output).toMatch(/^ {2}T10 Determine necessity to stop indication +828 +57\.7 %$/m);
    expect(output).toMatch(/^ {2}Resource01 +1,228 +14 /m);
    expect(output).toMatch(/^ {2}longest +275\.8 days$/m);
    expect(output).toContain("Proved: three read models of 8,577 events survived kill -9");
    expect(code).toBe(0);
  }, 120_000);
});
