// One process that hammers the ledger until it is told to finish, or is killed. Started by ../multi-writer-ledger.ts.
import { EventStore } from "annal";
import { Ledgers } from "annal/ledger";
import { onMessage, readJob, tell } from "../lib/child.ts";
import { Hammer } from "./hammer.ts";
import { LEDGER } from "./ledger.ts";
import type { Answer, WriterJob, WriterOrder, WriterReport } from "./messages.ts";

const { servers, stream, index, accounts, callers } = readJob<WriterJob>();
const store = await EventStore.connect({ servers, stream, create: false });
const ledgers = await Ledgers.open(store);
const ledger = await ledgers.open(LEDGER);

let answers: Answer[] = [];
let sending: Promise<void> | undefined;
const hammer = new Hammer(ledger, { writer: index, accounts }, (answer) => {
  answers.push(answer);
  send().catch(fail);
});

/** Tells all that is not told yet; what is answered meanwhile goes with the next message. */
function send(): Promise<void> {
  sending ??= sendAll().finally(() => {
    sending = undefined;
  });
  return sending;
}

async function sendAll(): Promise<void> {
  while (answers.length > 0) {
    const told = answers;
    answers = [];
    const { retried, repeated } = hammer;
    await report({ kind: "answers", answers: told, retried, repeated });
  }
}

function report(said: WriterReport): Promise<void> {
  return tell(said);
}

function fail(error: unknown): void {
  console.error(`\nwriter ${index + 1}: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

const go = new Promise<void>((resolve) =>
  onMessage<WriterOrder>(({ kind }) => {
    if (kind === "go") resolve();
    else hammer.stop();
  }),
);
await report({ kind: "ready" });
await go;
try {
  await hammer.run(callers);
} catch (error) {
  fail(error);
}
await send();
await ledgers.close();
await store.close();
process.disconnect();
process.exit(0);
