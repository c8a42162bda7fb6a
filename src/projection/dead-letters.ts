import type { Bucket, BucketChange } from "../nats/bucket.ts";
import { CorruptStateError } from "./errors.ts";
import type { DeadLetter } from "./state-backend.ts";

/** Keys of events that were set aside: `_dead.<position>.<index>`. */
export const DEAD_PREFIX = "_dead";

/** The bucket's entry of an event that was set aside: JSON, for people. */
export function formatDeadLetter(letter: DeadLetter): BucketChange {
  const { position, index } = letter;
  return { key: `${DEAD_PREFIX}.${position}.${index}`, data: Buffer.from(JSON.stringify(letter)) };
}

/** The events that were set aside, in the order of the stream. */
export async function parseDeadLetters(bucket: Bucket): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for await (const page of bucket.list({ prefix: DEAD_PREFIX })) {
    for (const { key, data } of page) {
      try {
        letters.push(JSON.parse(Buffer.from(data).toString()) as DeadLetter);
      } catch (cause) {
        throw new CorruptStateError(bucket.name, key, "it is no JSON", { cause });
      }
    }
  }
  return letters.sort((a, b) => a.position - b.position || a.index - b.index);
}
