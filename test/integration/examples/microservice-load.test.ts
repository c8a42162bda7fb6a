import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import type { InstanceCounts } from "../../../examples/microservice-proof/instance.ts";
import { Load } from "../../../examples/microservice-proof/load.ts";
import type { Answer } from "../../../examples/microservice-proof/requests.ts";
import { eventually } from "../../support/server.ts";

type Say = (response: ServerResponse) => void;

const status =
  (code: number): Say =>
  (response) =>
    void response.writeHead(code).end();
const done =
  (replayed: boolean): Say =>
  (response) =>
    void response.end(JSON.stringify({ version: 1, commitId: "c", replayed }));

/** What one client comes to hear of its second request, whose attempts are answered in turns; the others are done. */
async function hears(
  key: string,
  says: readonly Say[],
): Promise<{ readonly answer: Answer | undefined; readonly counts: InstanceCounts }> {
  let attempt = 0;
  const server = createServer((asked: IncomingMessage, response) => {
    const isIt = asked.headers["idempotency-key"] === key;
    (isIt ? (says[attempt++] ?? status(500)) : done(true))(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const counts = {
    sent: 0,
    acknowledged: 0,
    refused: 0,
    unavailable: 0,
    cut: 0,
    unheard: 0,
    lost: 0,
    latenciesMs: [],
  };
  const target = { name: "it", url: `http://127.0.0.1:${port}`, counts, isReady: true };
  const load = new Load([target], 1, 2);
  await eventually(() => {
    expect(load.answers.map((answer) => answer.key)).toContain(key);
  });
  await load.finish();
  server.closeAllConnections();
  server.close();
  return { answer: load.answers.find((answer) => answer.key === key), counts };
}

describe("a client of the microservice's load", () => {
  it.each([
    { what: "at once", says: [status(409)], inDoubt: false },
    { what: "after 503", says: [status(503), status(503), status(409)], inDoubt: false },
    { what: "after 504", says: [status(504), status(503), status(409)], inDoubt: true },
    {
      what: "after a cut",
      says: [(response: ServerResponse) => void response.destroy(), status(409)],
      inDoubt: true,
    },
  ])("knows whether a refusal $what is in doubt", async ({ says, inDoubt }) => {
    const { answer } = await hears("request-2", says);
    expect(answer).toMatchObject({ outcome: "refused", inDoubt });
  });

  it("does not hear the first answer to its first request, and asks again", async () => {
    const { answer, counts } = await hears("request-1", [done(false), done(true)]);
    expect(answer).toMatchObject({ outcome: "acknowledged", replayed: true });
    expect(counts.lost).toBeGreaterThanOrEqual(1);
  });
});
