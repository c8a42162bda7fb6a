import { InvalidArgumentError, ReadTimeoutError } from "../errors.ts";
import { backoffMs, sleep } from "../internal/backoff.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { headOf, readCommit } from "./commit.ts";
import type { StoreContext } from "./context.ts";

const SEEN = { firstMs: 1, maxMs: 100 };

/** Position of the last commit that stands in the stream, by the leader; 0 where there is none. */
export async function lastPosition(
  { direct, prefix }: StoreContext,
  bounds: ReadBounds,
): Promise<number> {
  return (await direct.leaderLastBySubject(`${prefix}.>`, bounds))?.sequence ?? 0;
}

/**
 * Waits until the leader has a position, and takes note of the commit there: a read of its actor that a replica answers
 * with less is asked of the leader then.
 *
 * @throws {ReadTimeoutError}
 */
export async function waitForPosition(
  context: StoreContext,
  position: number,
  { timeoutMs, signal }: ReadBounds,
): Promise<void> {
  const { cache, direct, guard, prefix, replicated, stream } = context;
  if (!Number.isSafeInteger(position) || position < 0) {
    throw new InvalidArgumentError("position", "a position from 0", position);
  }
  if (position === 0) return;
  const deadline = performance.now() + timeoutMs;
  for (let attempt = 1; ; attempt++) {
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) {
      const message = `stream ${stream}: position ${position} not seen in ${timeoutMs} ms`;
      throw new ReadTimeoutError(message);
    }
    const epochs = { cache: cache.epoch, guard: guard.epoch };
    const bounds = { timeoutMs: leftMs, signal };
    const message = replicated()
      ? await direct.leaderBySequence(position, bounds)
      : await direct.bySequence(position, bounds);
    if (message !== undefined) {
      const commit = readCommit(message, prefix);
      cache.advance(message.subject, headOf(commit), epochs.cache);
      guard.saw(position, commit.commitId, epochs.guard);
      return;
    }
    await sleep(Math.min(leftMs, backoffMs(SEEN, attempt)), signal);
  }
}
