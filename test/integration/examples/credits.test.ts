import { describe, expect, it } from "vitest";
import { freshStream } from "../../support/server.ts";
import { runExample } from "./run-example.ts";

describe("the credits example", () => {
  it("tells its story, and every claim of it holds", async () => {
    const stream = freshStream("CREDITS");
    const { code, output } = await runExample("credits", ["--stream", stream]);
    expect(output).toMatch(/^ {2}2026-02-01 {2}The free credits expire: Alice has 2,000, Bob 0$/m);
    expect(output.match(/^ {2}✓/gm)).toHaveLength(13);
    expect(output).not.toContain("✗");
    expect(output).toContain(`The stream ${stream} is left`);
    expect(code).toBe(0);
  });

  it("prints statements: lots with what is left of them, and what moved, expiries included", async () => {
    const { output } = await runExample("credits", ["--stream", freshStream("CREDITS")]);
    const ofAlice = /Statement of customers:alice on 2026-02-15\n\n([^]*?)\n\nStatement/.exec(
      output,
    );
    expect(ofAlice?.[1]?.split("\n").map((line) => line.trim().split(/ {2,}/))).toEqual([
      ["credits of", "from", "granted", "left", "until"],
      [expect.stringMatching(/^─+$/)],
      ["welcome-alice", "2026-01-05", "600", "50", "2026-02-01", "expired"],
      ["invoice-1001", "2026-01-10", "2,000", "1,750", "2027-01-10"],
      ["render-2-refund", "2026-01-22", "30", "30", "2026-02-01", "expired"],
      [""],
      ["date", "reference", "amount", "balance"],
      [expect.stringMatching(/^─+$/)],
      ["2026-01-05", "welcome-alice", "Welcome", "+600", "600"],
      ["2026-01-10", "invoice-1001", "Purchase", "+2,000", "2,600"],
      ["2026-01-12", "render-1", "Rendering", "-120", "2,480"],
      ["2026-01-15", "gift-1", "Gift to Bob", "-300", "2,180"],
      ["2026-01-20", "film-1-price", "Film", "-100", "2,080"],
      ["2026-01-22", "render-2", "Rendering", "-30", "2,050"],
      ["2026-01-22", "render-2-refund", "Refund", "+30", "2,080"],
      ["2026-02-01", "welcome-alice", "Expired", "-50", "2,030"],
      ["2026-02-01", "render-2-refund", "Expired", "-30", "2,000"],
      ["2026-02-03", "render-3", "Rendering", "-250", "1,750"],
    ]);
  });

  it("tells it once a stream", async () => {
    const args = ["--stream", freshStream("CREDITS")];
    await runExample("credits", args);
    const { code, output } = await runExample("credits", args);
    expect(output).toContain('ledger "credits" exists already');
    expect(output).not.toMatch(/^\s+at /m);
    expect(code).toBe(1);
  });
});
