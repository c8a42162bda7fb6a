// The first look: append events to an actor, meet a version conflict, read the history back.
// npm run example -- append-and-read
import { EventStore, toJson, VersionConflictError } from "annal";
import { useServer } from "annal/server";
import { holds, printClaims } from "./lib/proof.ts";
import { printServerProgress } from "./lib/server-progress.ts";
import { formatTable } from "./lib/table.ts";

type Bank = {
  account:
    | { type: "Opened"; data: { owner: string } }
    | { type: "Deposited"; data: { cents: bigint } }
    | { type: "Withdrawn"; data: { cents: bigint } };
};

await using server = await useServer({ onProgress: printServerProgress() });
const stream = `BANK_${Date.now()}`;
await using store = await EventStore.connect<Bank>({ servers: server.url, stream });
const alice = { type: "account", id: "Alice (main)" } as const;

const opened = { type: "Opened", data: { owner: "Alice" } } as const;
const deposited = { type: "Deposited", data: { cents: 9_007_199_254_740_993n } } as const;
const withdrawn = { type: "Withdrawn", data: { cents: 993n } } as const;
const first = await store.append(alice, [opened, deposited], { expectedVersion: "none" });
await store.append(alice, [withdrawn], { expectedVersion: first.version });

// A writer that has not seen the withdrawal is refused, and told where the actor is:
const late = await store
  .append(alice, [withdrawn], { expectedVersion: first.version })
  .catch((error: unknown) => error);

const rows: (string | number)[][] = [];
let balance = 0n;
for await (const event of store.read(alice)) {
  if (event.type === "Deposited") balance += event.data.cents;
  if (event.type === "Withdrawn") balance -= event.data.cents;
  rows.push([event.version, event.type, toJson(event.data), event.position, String(balance)]);
}

const right = { align: "right" } as const;
const columns = [
  { title: "version", ...right },
  { title: "type" },
  { title: "data" },
  { title: "position", ...right },
  { title: "balance", ...right },
];
console.log(`\n${formatTable(columns, rows)}\n`);
console.log(`  ${String(late)}\n`);

const conflict = late instanceof VersionConflictError && late.actualVersion === 3;
const claims = [
  {
    text: "the late append was refused: the actor is at version 3, not 2",
    violations: conflict ? [] : [`it ended with ${toJson(late)}`],
  },
  {
    text: "the history has three events, in two commits",
    violations: rows.length === 3 && rows[2]?.[3] === 2 ? [] : [`it has ${rows.length}`],
  },
  {
    text: "the balance is exact beyond 2⁵³",
    violations: balance === 9_007_199_254_740_000n ? [] : [`it is ${balance}`],
  },
];
printClaims(claims);
if (!holds(claims)) process.exitCode = 1;
if (!server.started) console.log(`\nThe stream ${stream} is left on ${server.url}.`);
