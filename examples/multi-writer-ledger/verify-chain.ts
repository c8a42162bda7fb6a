import { CHAIN_HEADER, chainHash } from "annal/ledger";
import { connect } from "nats";
import type { Claim } from "../lib/proof.ts";
import { formatCount } from "../lib/table.ts";
import { HashChain } from "./hash-chain.ts";
import { LEDGER } from "./ledger.ts";
import type { Place } from "./messages.ts";

/**
 * Verifies the journal's hash chain with a client that knows nothing of ledgers: over the bytes and headers that the
 * server gives to anybody.
 */
export async function verifyChain({ servers, stream }: Place): Promise<Claim> {
  const nc = await connect({ servers: servers.split(",") });
  try {
    const chain = new HashChain(chainHash);
    const subject = `${stream.toLowerCase()}.journal.${LEDGER}`;
    const consumer = await nc.jetstream().consumers.get(stream, { filterSubjects: subject });
    if ((await consumer.info(true)).num_pending > 0) {
      const messages = await consumer.consume();
      for await (const message of messages) {
        const { headers, seq: position, data: payload } = message;
        const header = (name: string): string => headers?.get(name) ?? "";
        const version = Number.parseInt(header("Annal-Version"), 10);
        const commitId = header("Annal-Commit");
        chain.take({ position, version, commitId, payload, hash: header(CHAIN_HEADER) });
        if (message.info.pending === 0) break;
      }
    }
    const { commits, violations } = chain;
    const text = `the hash chain holds over ${formatCount(commits)} commits, read by a plain NATS client`;
    return { text, violations };
  } finally {
    await nc.close();
  }
}
