import { EntryFields } from "./entry-fields.ts";

/** How far a projection has come. */
export interface Checkpoint {
  /** Position of the last commit of which events were taken; 0 = none yet. */
  readonly position: number;
  /** Events of that commit that were taken, from its first on, selected ones or not. */
  readonly taken: number;
  /** Id of the commit at the position. */
  readonly commitId: string;
  /** Events that the projection has applied: its own count, from which the generations follow. */
  readonly applied: number;
}

/** A checkpoint that tells others how far they may read. */
export interface SharedCheckpoint extends Checkpoint {
  /** Position up to which all events of interest are applied. @default the one before `position` */
  readonly complete?: number | undefined;
}

/** The checkpoint before the first event. */
export const BEGINNING: SharedCheckpoint = {
  position: 0,
  taken: 0,
  commitId: "",
  applied: 0,
};

/** Position up to which all events of interest have taken effect. */
export function completeOf({ complete, position }: SharedCheckpoint): number {
  return complete ?? Math.max(0, position - 1);
}

/** A checkpoint as the bucket holds it, with what fences off other projectors. */
export interface StoredCheckpoint extends SharedCheckpoint {
  /** Id of the projector that wrote it. */
  readonly writer: string;
  /** Number of the take-over; each projector that starts raises it. */
  readonly epoch: number;
  /** Made anew for each batch: by it a projector recognises its own write whose ack was lost. */
  readonly nonce: string;
}

const FORMAT = 1;

/** As JSON, so that people can read it with any NATS client. */
export function encodeCheckpoint(checkpoint: StoredCheckpoint): Uint8Array {
  const { position, taken, commitId, applied, complete } = checkpoint;
  const { writer, epoch, nonce } = checkpoint;
  const progress = { position, taken, commitId, applied, complete };
  return Buffer.from(JSON.stringify({ format: FORMAT, ...progress, writer, epoch, nonce }));
}

/** @throws {CorruptStateError} */
export function decodeCheckpoint(bucket: string, key: string, data: Uint8Array): StoredCheckpoint {
  const fields = new EntryFields(bucket, key, data, FORMAT);
  return {
    ...readCheckpoint(fields),
    writer: fields.text("writer"),
    epoch: fields.count("epoch"),
    nonce: fields.text("nonce"),
  };
}

/** How far a state is, as the fields of an entry say. @throws {CorruptStateError} */
export function readCheckpoint(fields: EntryFields): SharedCheckpoint {
  return {
    position: fields.count("position"),
    taken: fields.count("taken"),
    commitId: fields.text("commitId"),
    applied: fields.count("applied"),
    ...(fields.has("complete") ? { complete: fields.count("complete") } : {}),
  };
}
