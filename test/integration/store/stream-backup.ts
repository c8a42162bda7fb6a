import type { NatsConnection } from "@nats-io/transport-node";
import { deferred } from "../../../src/internal/deferred.ts";

/** A stream as it stood at one moment, as `nats stream backup` makes it. */
export interface StreamBackup {
  /** Creates the stream from it; the one of that name must be deleted before. */
  restore(): Promise<void>;
}

interface SnapshotAnswer {
  readonly error?: { readonly description: string };
  readonly config: unknown;
  readonly state: unknown;
}

interface RestoreAnswer {
  readonly error?: { readonly description: string };
  readonly deliver_subject: string;
}

/** Takes a backup through the server's snapshot API (`$JS.API.STREAM.SNAPSHOT`, `$JS.API.STREAM.RESTORE`). */
export async function backUp(nc: NatsConnection, stream: string): Promise<StreamBackup> {
  const chunks: Uint8Array[] = [];
  const complete = deferred();
  const inbox = `_INBOX.backup.${stream}`;
  const subscription = nc.subscribe(inbox, {
    callback: (error, message) => {
      if (error !== null) complete.reject(error);
      else if (message.data.length === 0) complete.resolve();
      else {
        chunks.push(message.data.slice());
        message.respond();
      }
    },
  });
  const request = JSON.stringify({ deliver_subject: inbox, no_consumers: true });
  const answer = await nc.request(`$JS.API.STREAM.SNAPSHOT.${stream}`, request);
  const { error, config, state } = answer.json<SnapshotAnswer>();
  if (error !== undefined) throw new Error(`backup of ${stream}: ${error.description}`);
  await complete.promise;
  subscription.unsubscribe();
  return {
    async restore() {
      const asked = await nc.request(
        `$JS.API.STREAM.RESTORE.${stream}`,
        JSON.stringify({ config, state }),
      );
      const begun = asked.json<RestoreAnswer>();
      if (begun.error !== undefined) throw new Error(`restore: ${begun.error.description}`);
      for (const chunk of chunks) await nc.request(begun.deliver_subject, chunk);
      const end = await nc.request(begun.deliver_subject, "", { timeout: 10_000 });
      const { error: failed } = end.json<{ error?: { description: string } }>();
      if (failed !== undefined) throw new Error(`restore: ${failed.description}`);
    },
  };
}
