import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { expect, it } from "vitest";
import { CREDIT, LedgerStage } from "./ledger-stage.ts";

const COMMANDS = 2_000;

it("I1 reads each commit once for a swarm of repeated commands", async () => {
  const { stage, ledger } = await LedgerStage.create();
  await using _ = stage;
  const wire = await stage.wire();
  const reader = await stage.other({ refreshMs: 0 }, { servers: wire.url });
  const swarm = (of: typeof ledger) =>
    Promise.all(
      Array.from({ length: COMMANDS }, (_, at) => {
        const grant = { to: `account-${at % 100}`, asset: CREDIT, amount: 1n };
        return of.grant(grant, { idempotencyKey: `key-${at}` });
      }),
    );
  const first = await swarm(ledger);
  const commits = new Set(first.map(({ position }) => position)).size;
  expect(commits).toBeLessThan(20);
  let groups = 0;
  const onGroup = (): void => {
    groups++;
  };
  await reader.balance("account-1", CREDIT, { fresh: true });
  wire.reset();
  subscribe("annal:ledger:commit", onGroup);
  const again = await swarm(reader).finally(() => unsubscribe("annal:ledger:commit", onGroup));
  expect(again.every(({ replayed }) => replayed)).toBe(true);
  expect(again.map(({ id }) => id)).toEqual(first.map(({ id }) => id));
  const reads = wire.count(/DIRECT\.GET\.[^.]+$/);
  expect(reads).toBe(commits);
  // a group of which nothing is stored asks once whether the journal has gone on
  expect(wire.count(/DIRECT\.GET|MSG\.GET/) - reads).toBeLessThanOrEqual(groups);
  expect(groups).toBeLessThan(COMMANDS / 100);
});
