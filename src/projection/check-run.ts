import { StreamNotFoundError } from "../errors.ts";
import type { Bucket } from "../nats/bucket.ts";
import type { EventMap } from "../store/event.ts";
import type { StoreInternals } from "../store/internals.ts";
import type { Owner } from "./bucket-identity.ts";
import { Comparison } from "./check-comparison.ts";
import { Derivation } from "./check-derivation.ts";
import { ExpectedInMemory, type ExpectedState } from "./check-expected.ts";
import { assertPlace, assertWhole, IncompleteHistoryError } from "./check-history.ts";
import type { Findings } from "./check-report.ts";
import { ExpectedInBucket } from "./check-scratch.ts";
import { checkCheckpoint, checkIdentity } from "./check-claims.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { CHECKPOINT_KEY } from "./checkpoint-writer.ts";
import { DEAD_PREFIX } from "./dead-letters.ts";
import type { Projection, TableMap } from "./definition.ts";
import type { EventPlace } from "./errors.ts";
import { KvState } from "./kv-state.ts";
import { openBucket } from "./open-state.ts";
import type { KvStateOptions } from "./state-options.ts";

/** What a check is doing: deriving the state, comparing the entries, looking again at those that had changed since. */
export type CheckPhase = "deriving" | "comparing" | "settling";

/** What a check works with. */
export interface CheckParts<Events extends EventMap, Tables extends TableMap> {
  readonly internals: StoreInternals;
  readonly projection: Projection<Events, Tables>;
  readonly state: KvStateOptions;
  /** Name of the bucket of this version. */
  readonly bucket: string;
  readonly findings: Findings;
  readonly maxPasses: number;
  readonly maxKeysInMemory: number;
  readonly onProgress: (phase: CheckPhase, fraction: number) => void;
  readonly signal: AbortSignal;
}

/** State derived up to the checkpoint that stood there when the check began. */
interface Derived<Events extends EventMap, Tables extends TableMap> {
  readonly expected: ExpectedState;
  readonly derivation: Derivation<Events, Tables>;
}

/** There are more keys than may be held in memory. */
class TooManyKeysError extends Error {}

/** One check, from the opening of the bucket to its end. */
export class CheckRun<Events extends EventMap, Tables extends TableMap> {
  readonly #parts: CheckParts<Events, Tables>;
  readonly #owner: Owner;
  #position = 0;
  #comparison: Comparison | undefined;

  constructor(parts: CheckParts<Events, Tables>) {
    const { projection, state, internals } = parts;
    this.#parts = parts;
    this.#owner = { projection, values: state.values, stream: internals.context.stream };
  }

  /** Position of the checkpoint that stood in the bucket when the check began. */
  get position(): number {
    return this.#position;
  }

  /** How the comparison went; undefined where it did not come to that. */
  get comparison(): Pick<Comparison, "checked" | "passes" | "unsettled"> | undefined {
    return this.#comparison;
  }

  /**
   * Fills the findings.
   *
   * @returns why not everything was compared although there are findings; undefined where everything was
   * @throws what `incompleteReason` knows; whatever keeps it from reading
   */
  async run(): Promise<string | undefined> {
    const { internals, projection, findings, signal } = this.#parts;
    const bucket = await this.#open();
    await assertWhole(internals);
    const bounds = { timeoutMs: this.#parts.state.requestTimeoutMs, signal };
    const reason = await checkIdentity(bucket, this.#owner, findings, bounds);
    if (reason !== undefined) return reason;
    const checkpoint = await checkCheckpoint(bucket, findings, bounds);
    if (typeof checkpoint === "string") return checkpoint;
    this.#position = checkpoint.position;
    await assertPlace(internals, projection.selection, checkpoint, signal);
    const derived = await this.#derive(bucket, checkpoint);
    try {
      this.#checkCount(checkpoint, derived.derivation.checkpoint);
      await this.#compare(bucket, derived);
      // What was derived from a stream that was cut meanwhile says nothing.
      await assertWhole(internals);
      await assertPlace(internals, projection.selection, derived.derivation.checkpoint, signal);
    } finally {
      await derived.derivation.close();
      await derived.expected.close();
    }
    return undefined;
  }

  async #open(): Promise<Bucket> {
    const { internals, state, bucket: name, signal } = this.#parts;
    const options = { timeoutMs: state.requestTimeoutMs, create: false, signal };
    try {
      return await openBucket(internals, name, options);
    } catch (error) {
      if (!(error instanceof StreamNotFoundError)) throw error;
      throw new IncompleteHistoryError(
        `there is no bucket ${name}: was this version of the projection ever run?`,
        { cause: error },
      );
    }
  }

  /** In memory where the keys fit into it, else in a bucket. */
  async #derive(bucket: Bucket, checkpoint: Checkpoint): Promise<Derived<Events, Tables>> {
    const { internals, state, maxKeysInMemory: maxKeys, signal } = this.#parts;
    const { requestTimeoutMs, maxBatchBytes, generationEvents } = state;
    const bounds = { requestTimeoutMs, maxBatchBytes, generationEvents };
    const stored = new KvState({ bucket, owner: this.#owner, ...bounds });
    const { messages } = await bucket.state();
    if (messages <= maxKeys) {
      const memory = new ExpectedInMemory(stored);
      try {
        return await this.#deriveTo(checkpoint, bucket, memory, () => {
          if (memory.size > maxKeys) throw new TooManyKeysError();
        });
      } catch (error) {
        if (!(error instanceof TooManyKeysError)) throw error;
      }
    }
    const { limits } = stored;
    const of = { internals, bucket: bucket.name, owner: this.#owner, state, limits, maxKeys };
    return this.#deriveTo(checkpoint, bucket, await ExpectedInBucket.open(of, signal), () => {});
  }

  async #deriveTo(
    checkpoint: Checkpoint,
    bucket: Bucket,
    expected: ExpectedState,
    onBatch: () => void,
  ): Promise<Derived<Events, Tables>> {
    const { internals, projection, signal, onProgress } = this.#parts;
    const isParked = this.#parkedIn(bucket);
    const derivation = new Derivation({ internals, projection, expected, isParked, signal });
    try {
      await derivation.advanceTo(checkpoint, (position) => {
        onBatch();
        onProgress("deriving", Math.min(1, position / checkpoint.position));
      });
    } catch (error) {
      await derivation.close();
      await expected.close();
      throw error;
    }
    return { expected, derivation };
  }

  /**
   * Tells whether an event that fails was set aside. Where no event ever was, one that fails says that the projection is
   * not what it was when it was run; else the dead letter of this one is missing.
   */
  #parkedIn(bucket: Bucket): (event: EventPlace) => Promise<boolean> {
    const { state, signal } = this.#parts;
    const bounds = { timeoutMs: state.requestTimeoutMs, signal };
    let parks: boolean | undefined;
    const hasLetters = async (): Promise<boolean> => {
      const letters = bucket.entries({ filter: `${DEAD_PREFIX}.>`, until: "head", signal });
      for await (const batch of letters) if (batch.length > 0) return true;
      return false;
    };
    return async ({ position, index }) => {
      const key = `${DEAD_PREFIX}.${position}.${index}`;
      if ((await bucket.leaderGet(key, bounds)) !== undefined) return true;
      parks ??= await hasLetters();
      return parks;
    };
  }

  /** The checkpoint counts the events that were applied: the cache of a projector follows from it. */
  #checkCount({ position, applied: found }: Checkpoint, { applied: expected }: Checkpoint): void {
    if (found === expected) return;
    this.#parts.findings.add({
      entry: CHECKPOINT_KEY,
      key: CHECKPOINT_KEY,
      kind: "different",
      expected: { applied: expected },
      found: { applied: found },
      position,
    });
  }

  async #compare(bucket: Bucket, { expected, derivation }: Derived<Events, Tables>): Promise<void> {
    const { internals, projection, state, findings, maxPasses, signal, onProgress } = this.#parts;
    this.#comparison = new Comparison({
      bucket,
      tables: new Set(Object.keys(projection.tables)),
      expected,
      findings,
      advanceTo: async (checkpoint) => {
        await assertPlace(internals, projection.selection, checkpoint, signal);
        return derivation.advanceTo(checkpoint);
      },
      maxPasses,
      timeoutMs: state.requestTimeoutMs,
      signal,
      onProgress,
    });
    await this.#comparison.run();
  }
}
