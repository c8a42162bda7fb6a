import { AnnalError } from "../errors.ts";

/** No ledger of this name, or its bucket was deleted. */
export class LedgerNotFoundError extends AnnalError {
  readonly code = "ledger_not_found";
  readonly ledger: string;

  constructor(ledger: string, reason: string) {
    super(`ledger "${ledger}" not found: ${reason}`);
    this.ledger = ledger;
  }
}

/** A ledger of this name exists, in this bucket or in another one. */
export class LedgerExistsError extends AnnalError {
  readonly code = "ledger_exists";
  readonly ledger: string;

  constructor(ledger: string, bucket: string) {
    super(`ledger "${ledger}" exists already, in bucket "${bucket}"`);
    this.ledger = ledger;
  }
}

/** No bucket of this name, or it was deleted. */
export class LedgerBucketNotFoundError extends AnnalError {
  readonly code = "ledger_bucket_not_found";
  readonly bucket: string;

  constructor(bucket: string, reason: string) {
    super(`bucket "${bucket}" not found: ${reason}`);
    this.bucket = bucket;
  }
}

/** The account has less than what was to be taken; nothing changed. */
export class InsufficientFundsError extends AnnalError {
  readonly code = "insufficient_funds";
  readonly account: string;
  readonly asset: string;
  /** In minor units. */
  readonly needed: bigint;
  /** What could be spent: unexpired lots, less holds and debt, plus the overdraft; in minor units. */
  readonly available: bigint;

  constructor(account: string, asset: string, needed: bigint, available: bigint) {
    super(`account ${account} has ${available} ${asset} to spend, ${needed} needed`);
    this.account = account;
    this.asset = asset;
    this.needed = needed;
    this.available = available;
  }
}

/** The same idempotency key came with another content; nothing changed. */
export class IdempotencyConflictError extends AnnalError {
  readonly code = "idempotency_conflict";
  readonly idempotencyKey: string;
  /** The transaction that has the key; undefined while it is not acknowledged yet. */
  readonly transactionId: string | undefined;

  constructor(idempotencyKey: string, transactionId: string | undefined) {
    super(
      `idempotency key "${idempotencyKey}" belongs to ${transactionId === undefined ? "a command in flight" : `transaction ${transactionId}`} with another content`,
    );
    this.idempotencyKey = idempotencyKey;
    this.transactionId = transactionId;
  }
}

/** Another transaction has this reference, with another content; nothing changed. */
export class DuplicateReferenceError extends AnnalError {
  readonly code = "duplicate_reference";
  readonly reference: string;
  /** The transaction that has the reference; undefined while it is not acknowledged yet. */
  readonly transactionId: string | undefined;

  constructor(reference: string, transactionId: string | undefined) {
    super(
      `reference "${reference}" belongs to ${transactionId === undefined ? "a command in flight" : `transaction ${transactionId}`} with another content`,
    );
    this.reference = reference;
    this.transactionId = transactionId;
  }
}

/** What the caller expected of the ledger does not hold; nothing changed. */
export class PreconditionFailedError extends AnnalError {
  readonly code = "precondition_failed";
  /** Of what something was expected, such as `the ledger's version`. */
  readonly what: string;
  readonly expected: string;
  readonly found: string;

  constructor(what: string, expected: string, found: string) {
    super(`${what}: expected ${expected}, found ${found}`);
    this.what = what;
    this.expected = expected;
    this.found = found;
  }
}

/** The account is frozen or closed, so that nothing can be posted to it; nothing changed. */
export class AccountNotUsableError extends AnnalError {
  readonly code = "account_not_usable";
  readonly account: string;
  readonly state: "frozen" | "closed";

  constructor(account: string, state: "frozen" | "closed") {
    super(`account ${account} is ${state}`);
    this.account = account;
    this.state = state;
  }
}

/** The options of an account cannot be changed so while it is as it is; nothing changed. */
export class AccountOptionsError extends AnnalError {
  readonly code = "account_options";
  readonly account: string;

  constructor(account: string, reason: string) {
    super(`account ${account}: ${reason}`);
    this.account = account;
  }
}

/** No transaction stands at this place of the journal. */
export class TransactionNotFoundError extends AnnalError {
  readonly code = "transaction_not_found";
  readonly transactionId: string;

  constructor(transactionId: string, reason: string) {
    super(`transaction ${transactionId} not found: ${reason}`);
    this.transactionId = transactionId;
  }
}

/** The transaction was reverted before; nothing changed. */
export class AlreadyRevertedError extends AnnalError {
  readonly code = "already_reverted";
  readonly transactionId: string;
  /** The transaction that reverts it; undefined while it is not acknowledged yet. */
  readonly revertedBy: string | undefined;

  constructor(transactionId: string, revertedBy: string | undefined) {
    super(`transaction ${transactionId} was reverted by ${revertedBy ?? "a command in flight"}`);
    this.transactionId = transactionId;
    this.revertedBy = revertedBy;
  }
}

/** No hold of this id. */
export class HoldNotFoundError extends AnnalError {
  readonly code = "hold_not_found";
  readonly holdId: string;

  constructor(holdId: string, reason: string) {
    super(`hold ${holdId} not found: ${reason}`);
    this.holdId = holdId;
  }
}

/** The hold has ended: its instant was reached, or it was captured or released; nothing changed. */
export class HoldEndedError extends AnnalError {
  readonly code = "hold_ended";
  readonly holdId: string;
  readonly how: "expired" | "captured or released";

  constructor(holdId: string, how: "expired" | "captured or released") {
    super(`hold ${holdId} has ended: ${how}`);
    this.holdId = holdId;
    this.how = how;
  }
}

/** More was to be captured than the hold still reserves; nothing changed. */
export class HoldExceededError extends AnnalError {
  readonly code = "hold_exceeded";
  readonly holdId: string;
  readonly needed: bigint;
  readonly remaining: bigint;

  constructor(holdId: string, needed: bigint, remaining: bigint) {
    super(`hold ${holdId} reserves ${remaining}, ${needed} to be captured`);
    this.holdId = holdId;
    this.needed = needed;
    this.remaining = remaining;
  }
}

/** The transaction is larger than what one commit, or the ledger's state, can take; nothing changed. */
export class TransactionTooLargeError extends AnnalError {
  readonly code = "transaction_too_large";
  readonly size: number;
  readonly limit: number;
  readonly unit: "bytes" | "postings" | "lots" | "transactions";

  constructor(size: number, limit: number, unit: "bytes" | "postings" | "lots" | "transactions") {
    super(`the transaction has ${size} ${unit}, at most ${limit} are possible`);
    this.size = size;
    this.limit = limit;
    this.unit = unit;
  }
}

/** Another transaction of an atomic `postMany` was refused, so that none was posted. */
export class BatchRefusedError extends AnnalError {
  readonly code = "batch_refused";
  /** Number of the first transaction that was refused, from 0. */
  readonly index: number;

  constructor(index: number, cause: unknown) {
    super(`transaction ${index} of the batch was refused`, { cause });
    this.index = index;
  }
}

/** This process's clock differs too much from the server's: it must not decide what has expired. */
export class ClockSkewError extends AnnalError {
  readonly code = "clock_skew";
  /** This process's clock less the server's, in milliseconds. */
  readonly skewMs: number;
  readonly maxSkewMs: number;

  constructor(skewMs: number, maxSkewMs: number) {
    super(
      `the clock of this process is ${Math.round(skewMs)} ms off the server's, at most ${maxSkewMs} ms are allowed: mend the clock`,
    );
    this.skewMs = skewMs;
    this.maxSkewMs = maxSkewMs;
  }
}

/** The journal's hash chain does not hold: stored bytes were changed, removed or put in by somebody else. */
export class JournalBrokenError extends AnnalError {
  readonly code = "journal_broken";
  readonly ledger: string;
  /** Of the first commit that does not fit; undefined for a tail that was cut off. */
  readonly position: number | undefined;

  constructor(ledger: string, position: number | undefined, reason: string) {
    const where = position === undefined ? "its end" : `position ${position}`;
    super(`the journal of ledger "${ledger}" is broken at ${where}: ${reason}`);
    this.ledger = ledger;
    this.position = position;
  }
}

/** What the ledger holds contradicts itself; nothing was decided on it. */
export class InconsistentStateError extends AnnalError {
  readonly code = "inconsistent_state";
}

/** Something unforeseen came between a command and its outcome: it may be posted. Repeat it with its idempotency key. */
export class CommandOutcomeUnknownError extends AnnalError {
  readonly code = "command_outcome_unknown";

  constructor(ledger: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      `whether the command on ledger "${ledger}" was posted is not known (${reason}); repeat it with the same idempotency key`,
      { cause },
    );
  }
}

/** No outcome within the command's time; it may still be posted. Repeat it with the same idempotency key to find out. */
export class CommandTimeoutError extends AnnalError {
  readonly code = "command_timeout";
  readonly timeoutMs: number;

  constructor(ledger: string, timeoutMs: number, options?: { readonly cause?: unknown }) {
    super(
      `no outcome of the command on ledger "${ledger}" within ${timeoutMs} ms; repeat it with the same idempotency key`,
      options,
    );
    this.timeoutMs = timeoutMs;
  }
}

/** A ledger's snapshot cannot be read. Snapshots only save time: the journal holds everything. */
export class CorruptSnapshotError extends AnnalError {
  readonly code = "corrupt_snapshot";
  readonly ledger: string;
  /** NATS KV bucket of the snapshots. */
  readonly bucket: string;
  /** Key of the entry in the bucket. */
  readonly key: string;

  constructor(
    place: { readonly ledger: string; readonly bucket: string; readonly key: string },
    reason: string,
    options?: { readonly cause?: unknown },
  ) {
    const { ledger, bucket, key } = place;
    super(
      `the snapshot of ledger "${ledger}" cannot be read: "${key}" in KV bucket ${bucket}: ${reason}`,
      options,
    );
    this.ledger = ledger;
    this.bucket = bucket;
    this.key = key;
  }
}

/** A ledger's snapshot was written by a newer release; this one neither reads nor replaces it. */
export class SnapshotFormatError extends AnnalError {
  readonly code = "snapshot_format";
  readonly ledger: string;
  readonly format: number;

  constructor(ledger: string, format: number, supported: number) {
    super(
      `the snapshot of ledger "${ledger}" has format ${format}, this version reads up to ${supported}: it was written by a newer release`,
    );
    this.ledger = ledger;
    this.format = format;
  }
}
