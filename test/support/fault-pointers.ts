import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import {
  decodeIndex,
  firstIndex,
  type HistoryIndex,
  nextIndex,
} from "../../src/store/history-index.ts";
import { decodePayload } from "../../src/store/payload.ts";

/** A commit's place and the index that it carries. */
export interface IndexedCommit {
  readonly subject: string;
  readonly sequence: number;
  readonly version: number;
  readonly index: HistoryIndex | undefined;
}

/** All commits of a stream with the indexes that were written into them, read past the store. */
export async function writtenIndexes(url: string, stream: string): Promise<IndexedCommit[]> {
  const nc = await connect({ servers: url });
  try {
    const manager = await jetstreamManager(nc);
    const { state } = await manager.streams.info(stream);
    const commits: IndexedCommit[] = [];
    for (let seq = 1; seq <= state.last_seq; seq++) {
      const message = await manager.streams.getMessage(stream, { seq });
      if (message === null) throw new Error(`nothing at sequence ${seq}`);
      const [version, ordinal] = message.header.get("Annal-Version").split(".").map(Number);
      const { index } = decodePayload(message.data);
      commits.push({
        subject: message.subject,
        sequence: seq,
        version: version ?? 0,
        index: index === undefined ? undefined : decodeIndex(index, ordinal ?? 0),
      });
    }
    return commits;
  } finally {
    await nc.close();
  }
}

/** The indexes that these commits must carry, from the pure function over all of them. */
export function dueIndexes(commits: readonly IndexedCommit[]): IndexedCommit[] {
  const last = new Map<string, IndexedCommit>();
  return commits.map((commit) => {
    const before = last.get(commit.subject);
    const index =
      before?.index === undefined
        ? firstIndex(0)
        : nextIndex(before.index, before.sequence, before.version);
    const due = { ...commit, index };
    last.set(commit.subject, due);
    return due;
  });
}
