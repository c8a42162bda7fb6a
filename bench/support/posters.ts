import type { Ledger } from "../../src/ledger/index.ts";
import { perSecond } from "./rounds.ts";
import { percentile } from "./statistics.ts";

/** Accounts among which is transferred. */
export const ACCOUNTS = 10_000;
export const ASSET = "CREDIT/2";

/** What callers of one process did. */
export interface Posted {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
}

/** Gives every account more than it will spend. */
export async function fund(ledger: Ledger, accounts: number = ACCOUNTS): Promise<void> {
  await Promise.all(
    Array.from({ length: accounts }, (_, at) =>
      ledger.grant({ to: `acc:${at}`, asset: ASSET, amount: 10_000_000n }),
    ),
  );
}

/** So many callers transfer, each with an idempotency key and one transfer at a time, for a while. */
export async function postFor(
  ledger: Ledger,
  callers: number,
  durationMs: number,
  name: string,
  accounts: number = ACCOUNTS,
): Promise<Posted> {
  const latencies: number[] = [];
  const startedAt = performance.now();
  const end = startedAt + durationMs;
  let next = 0;
  const caller = async (): Promise<void> => {
    for (let at = performance.now(); at < end; ) {
      const of = next++;
      const source = (of * 7_919) % accounts;
      const destination = (source + 1 + (of % 97)) % accounts;
      await ledger.post(
        {
          postings: [
            {
              source: `acc:${source}`,
              destination: `acc:${destination}`,
              asset: ASSET,
              amount: BigInt(1 + (of % 100)),
            },
          ],
        },
        { idempotencyKey: `${name}-${of}` },
      );
      const now = performance.now();
      latencies.push(now - at);
      at = now;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return {
    perSecond: perSecond(latencies.length, startedAt),
    p50: percentile(latencies, 50),
    p99: percentile(latencies, 99),
    count: latencies.length,
  };
}
