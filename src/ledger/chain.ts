import { createHash } from "node:crypto";

/** Header of a journal's commit: its link of the hash chain, in hexadecimal. */
export const CHAIN_HEADER = "Annal-Chain";

/** What stands before the first commit. */
export const CHAIN_START: string = "0".repeat(64);

/**
 * The hash of a commit in the chain: SHA-256 of the hash before it (32 bytes), the version of its last entry (8 bytes,
 * big-endian), its commit id, and the payload as it is stored. Neither its position nor the time of storing is covered.
 */
export function chainHash(
  previous: string,
  version: number,
  commitId: string,
  payload: Uint8Array,
): string {
  const start = Buffer.alloc(40);
  start.write(previous, 0, "hex");
  start.writeBigUInt64BE(BigInt(version), 32);
  return createHash("sha256").update(start).update(commitId).update(payload).digest("hex");
}
