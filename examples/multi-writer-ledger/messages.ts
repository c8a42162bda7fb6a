import type { Claim } from "../lib/proof.ts";

/** Where the ledger is. */
export interface Place {
  readonly servers: string;
  readonly stream: string;
}

/** What a writer is started with. */
export interface WriterJob extends Place {
  /** Number of this writer, from 0. */
  readonly index: number;
  readonly accounts: number;
  /** Commands that it has under way at once. */
  readonly callers: number;
}

/** What the verifier is started with. */
export interface VerifierJob extends Place {
  readonly accounts: number;
  readonly writers: number;
  /** Writers that were killed. */
  readonly killed: readonly number[];
  /** How many of the acknowledged transfers it is to ask for again. */
  readonly repetitions: number;
}

/** A transfer, so that it can be asked for again. */
export interface Transfer {
  readonly from: string;
  readonly to: string;
  readonly asset: string;
  /** In minor units. */
  readonly amount: string;
}

/** What a writer was told by the ledger, and so may rely on. */
export interface Answer {
  /** The command's idempotency key: `w<writer>-<number>`. */
  readonly key: string;
  readonly kind: "transfer" | "hold" | "capture" | "release" | "revert";
  /** Where it stands in the journal; undefined where it was refused. */
  readonly id?: string | undefined;
  readonly version?: number | undefined;
  /** Of a transfer or a capture: what it moved; of a hold: what it reserves. */
  readonly amount?: string | undefined;
  readonly transfer?: Transfer | undefined;
}

/** What a writer tells. */
export type WriterReport =
  | { readonly kind: "ready" }
  | {
      readonly kind: "answers";
      readonly answers: readonly Answer[];
      /** Commands sent again because their outcome was unknown, or because the ledger was overloaded. */
      readonly retried: number;
      /** Acknowledged commands that were sent again on purpose, and got their first answer. */
      readonly repeated: number;
    };

/** What a writer is told. */
export type WriterOrder = { readonly kind: "go" } | { readonly kind: "finish" };

/** What the verifier is told: all answers, in parts. */
export interface AnswersTold {
  readonly answers: readonly Answer[];
  readonly isLast: boolean;
}

/** What one process got into the journal. */
export interface Share {
  readonly transactions: number;
  readonly entries: number;
  readonly commits: number;
}

/** What the verifier found. */
export interface Verdict {
  readonly entries: number;
  readonly transactions: number;
  readonly commits: number;
  /** Of each writer. */
  readonly shares: readonly Share[];
  /** Entries of killed writers whose acknowledgement was never heard of. */
  readonly unheard: number;
  readonly claims: readonly Claim[];
}

/** What the verifier tells. */
export type VerifierReport =
  | { readonly kind: "progress"; readonly text: string }
  | { readonly kind: "verdict"; readonly verdict: Verdict };
