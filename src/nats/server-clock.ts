import type { NatsConnection } from "./connection.ts";
import { callStreamApi, type JetStreamAccess } from "./stream.ts";

/** How far a clock is off the server's. */
export interface ClockOffset {
  /** The clock less the server's, in milliseconds. */
  readonly offsetMs: number;
  /** What the answer's time on the way leaves open, to both sides. */
  readonly uncertaintyMs: number;
}

/**
 * Compares a clock with that of the stream's leader, which stamps what is stored (`ts` of STREAM.INFO). One round trip.
 *
 * @throws StreamNotFoundError, JetStreamUnavailableError, ServerRefusedError
 */
export async function clockOffset(
  nc: NatsConnection,
  stream: string,
  access: JetStreamAccess,
  now: () => number,
): Promise<ClockOffset> {
  return await callStreamApi(nc, { name: stream, create: false, ...access }, async (manager) => {
    const before = now();
    const { ts = new Date(before).toISOString() } = await manager.streams.info(stream);
    const after = now();
    const uncertaintyMs = (after - before) / 2;
    return { offsetMs: (before + after) / 2 - Date.parse(ts), uncertaintyMs };
  });
}
