import { Packr } from "msgpackr";
import { connect, headers, type JetStreamManager, type NatsConnection } from "nats";
import { onTestFinished } from "vitest";
import { natsUrl } from "../../support/server.ts";

/** A commit as another language writes it: docs/wire-format.md, and nothing of Annal's code. */
export interface ForeignCommit {
  readonly subject: string;
  /** Left out of the message where undefined. */
  readonly expectedSequence: number | undefined;
  /** Version of the last event, with or without an ordinal: `12` or `12.3`. */
  readonly version: string;
  readonly commitId?: string;
  readonly numbers: readonly number[];
  /** Bytes of a history index, as they are. */
  readonly index?: Uint8Array;
}

const packr = new Packr({ useRecords: false, variableMapSize: true });
let commits = 0;

/** The nats 2.x client as an external writer. */
export class ForeignWriter {
  readonly nc: NatsConnection;

  constructor(nc: NatsConnection) {
    this.nc = nc;
  }

  /** Publishes a commit as a request; the stream sequence of the ack. */
  async write(commit: ForeignCommit): Promise<number> {
    const { expectedSequence, version, commitId = `foreign-${commits++}`, numbers } = commit;
    const head = headers();
    if (expectedSequence !== undefined) {
      head.set("Nats-Expected-Last-Subject-Sequence", String(expectedSequence));
    }
    head.set("Annal-Commit", commitId);
    head.set("Annal-Version", version);
    const events = numbers.map((n) => ["Noted", { n }]);
    const payload = packr.pack([1, commit.index ?? null, [events]]);
    return this.publish(commit.subject, payload, head);
  }

  /** Publishes any message to the stream. */
  async publish(
    subject: string,
    payload: Uint8Array,
    head: ReturnType<typeof headers> = headers(),
  ): Promise<number> {
    const reply = await this.nc.request(subject, payload, { headers: head, timeout: 10_000 });
    const answer = reply.json<{ seq?: number; error?: { description: string } }>();
    if (answer.seq === undefined) throw new Error(answer.error?.description ?? reply.string());
    return answer.seq;
  }

  /** Commits of one event each behind `version`, all sent before the first answer. */
  async writeRun(
    subject: string,
    start: { readonly sequence: number; readonly version: number },
    count: number,
  ): Promise<number> {
    const acks: Promise<number>[] = [];
    for (let at = 0; at < count; at++) {
      const version = start.version + at + 1;
      acks.push(
        this.write({
          subject,
          // Nobody else writes to the stream meanwhile, so that sequences are dense.
          expectedSequence: start.version === 0 && at === 0 ? 0 : start.sequence + at,
          version: String(version),
          numbers: [version],
        }),
      );
    }
    return (await Promise.all(acks)).at(-1) ?? start.sequence;
  }

  manager(): Promise<JetStreamManager> {
    return this.nc.jetstreamManager();
  }
}

/** Connects a foreign client that closes when the test is over. */
export async function foreignWriter(): Promise<ForeignWriter> {
  const nc = await connect({ servers: natsUrl() });
  onTestFinished(() => nc.close());
  return new ForeignWriter(nc);
}
