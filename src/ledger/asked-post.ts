import type { Expectation } from "./commands.ts";
import type { Details } from "./journal-entry.ts";
import type { AskedPosting } from "./posting.ts";
import type { AskedDetails, AskedOptions, AskedPost } from "./prepare.ts";

/**
 * What a command that posts is made of: instances of classes, where literals would do. V8 finds out which literals of a
 * program outlive a collection, as those of commands on their way do, and allocates them in the old generation from then
 * on. There only a full collection frees them, and until then all that they refer to survives with them. Instances
 * begin in the young generation whatever became of those before ("allocation site pretenuring").
 */
export class Post implements AskedPost {
  readonly kind = "post";
  readonly options: AskedOptions;
  readonly at: number | undefined;
  readonly reference: string | undefined;
  readonly metadata: Details | undefined;
  readonly metadataBytes: number;
  readonly postings: readonly AskedPosting[];
  readonly partial: boolean;

  constructor(
    postings: readonly AskedPosting[],
    options: AskedOptions,
    { at, reference, metadata, metadataBytes }: AskedDetails,
    onShortfall: "reject" | "partial" | undefined,
  ) {
    this.options = options;
    this.at = at;
    this.reference = reference;
    this.metadata = metadata;
    this.metadataBytes = metadataBytes;
    this.postings = postings;
    this.partial = onShortfall === "partial";
  }
}

export class PostPosting implements AskedPosting {
  readonly source: string;
  readonly destination: string;
  readonly asset: string;
  readonly amount: bigint;
  readonly expiresAt: number | null;

  constructor(
    source: string,
    destination: string,
    asset: string,
    amount: bigint,
    expiresAt: number | null,
  ) {
    this.source = source;
    this.destination = destination;
    this.asset = asset;
    this.amount = amount;
    this.expiresAt = expiresAt;
  }
}

export class PostOptions implements AskedOptions {
  readonly key: string | undefined;
  readonly expect: Expectation | undefined;
  readonly dryRun: boolean;

  constructor({ key, expect, dryRun }: AskedOptions) {
    this.key = key;
    this.expect = expect;
    this.dryRun = dryRun;
  }
}
