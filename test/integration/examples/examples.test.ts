import { describe, expect, it } from "vitest";
import { freshStream } from "../../support/server.ts";
import { runExample } from "./run-example.ts";

describe("the examples", () => {
  it("append-and-read shows a history, a conflict and an exact balance", async () => {
    const { code, output } = await runExample("append-and-read", []);
    expect(output).toMatch(/3 +Withdrawn +\{"cents":"993"\} +2 +9007199254740000/);
    expect(output).toContain("expected version 2, it is at version 3");
    expect(output.match(/✓/g)).toHaveLength(3);
    expect(code).toBe(0);
  });

  it("replay folds a stream of its own", async () => {
    const { code, output } = await runExample("replay", ["--events", "1000"]);
    expect(output).toMatch(/^ {2}all +1,000 +\d+$/m);
    expect(output).toMatch(/Proved: 1,000 events of \d+ actors/);
    expect(code).toBe(0);
  });

  it("replay folds a stream that is there", async () => {
    const stream = freshStream();
    await runExample("multi-writer", ["--events", "300", "--writers", "2", "--stream", stream]);
    const { code, output } = await runExample("replay", ["--stream", stream]);
    expect(output).toMatch(/^ {2}case: Order placed +\d+ +\d+$/m);
    expect(output).toContain("Proved: 300 events");
    expect(code).toBe(0);
  });

  it("replay fails where the stream is not there", async () => {
    const { code, output } = await runExample("replay", ["--stream", freshStream()]);
    expect(output).toContain("StreamNotFoundError");
    expect(code).not.toBe(0);
  });
});
