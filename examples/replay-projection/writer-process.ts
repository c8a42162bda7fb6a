// Appends the rest of the log while the projector works, is dead, and works again. Started by ../replay-projection.ts.
import { EventStore } from "annal";
import { onMessage, readJob, tell } from "../lib/child.ts";
import { loadLog } from "../multi-writer/event-log.ts";
import { appendRow } from "./append-rows.ts";
import type { Permit, WriterJob, WriterReport } from "./messages.ts";
import type { Log } from "./read-models.ts";

const { servers, stream, source, fromRow, ...first } = readJob<WriterJob>();
let { upToRow } = first;
let goOn = (): void => {};
onMessage<Permit>((permit) => {
  ({ upToRow } = permit);
  goOn();
});
const store = await EventStore.connect<Log>({ servers, stream, create: false });
for (const row of loadLog(source).slice(fromRow)) {
  while (row.number > upToRow) await new Promise<void>((resolve) => (goOn = resolve));
  await appendRow(store, row);
  const report: WriterReport = { rows: row.number };
  await tell(report);
}
await store.close();
process.disconnect();
process.exit(0);
