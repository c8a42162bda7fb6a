import type { AccountOptions } from "../../src/ledger/account.ts";
import type {
  CaptureOptions,
  CommandOptions,
  FundsOptions,
  GrantInput,
  HoldInput,
  PostingInput,
  RevertOptions,
  SpendInput,
  TransactionInput,
  TransferInput,
} from "../../src/ledger/commands.ts";

/** A command as callers give it; transactions and holds are named by the numbers of their entries. */
export type NaiveCommand =
  | PostCommand
  | { readonly does: "grant"; readonly input: GrantInput; readonly options: FundsOptions }
  | { readonly does: "spend"; readonly input: SpendInput; readonly options: FundsOptions }
  | { readonly does: "transfer"; readonly input: TransferInput; readonly options: FundsOptions }
  | { readonly does: "revert"; readonly target: number; readonly options: RevertOptions }
  | { readonly does: "hold"; readonly input: HoldInput; readonly options: CommandOptions }
  | CaptureCommand
  | { readonly does: "release"; readonly hold: number; readonly options: CommandOptions }
  | AccountCommand
  | MetadataCommand;

export interface PostCommand {
  readonly does: "post";
  readonly input: TransactionInput;
  readonly options: FundsOptions;
}

interface CaptureCommand {
  readonly does: "capture";
  readonly hold: number;
  readonly amount: bigint | undefined;
  readonly options: CaptureOptions;
}

interface AccountCommand {
  readonly does: "account";
  readonly account: string;
  readonly change: AccountOptions;
  readonly options: CommandOptions;
}

interface MetadataCommand {
  readonly does: "metadata";
  /** An account, or a transaction or hold. */
  readonly of: string | number;
  readonly set: Readonly<Record<string, unknown>>;
  readonly deleted: readonly string[];
  readonly options: CommandOptions;
}

type Transfer = Extract<NaiveCommand, { readonly does: "post" | "grant" | "spend" | "transfer" }>;

/** A grant, a spend and a transfer are postings. */
export function postOf(command: Transfer): PostCommand {
  if (command.does === "post") return command;
  const { input, options } = command;
  const { asset, at, reference, metadata } = input;
  const postings: PostingInput[] = [];
  if (command.does === "grant") {
    const { from: source = "world", to: destination, amount, expiresAt } = command.input;
    postings.push({ source, destination, asset, amount, expiresAt });
  } else if (command.does === "spend") {
    const { from: source, to: destination = "world", amount } = command.input;
    postings.push({ source, destination, asset, amount });
  } else {
    for (const { account: destination, amount, expiresAt } of command.input.to)
      postings.push({ source: command.input.from, destination, asset, amount, expiresAt });
  }
  return { does: "post", input: { at, reference, metadata, postings }, options };
}

/** What a command asks for, as a text: what is left out is what is the default. */
export function contentOf(command: NaiveCommand): string {
  switch (command.does) {
    case "revert": {
      const { force = false, atEffectiveDate = false, reference, metadata } = command.options;
      return textOf(["revert", command.target, force, atEffectiveDate, reference, metadata]);
    }
    case "hold": {
      const { to = "world", ...input } = command.input;
      return textOf(["hold", { to, ...input }]);
    }
    case "capture": {
      const { to, expiresAt = null, final = true, at, reference, metadata } = command.options;
      const how = { to, expiresAt, final, at, reference, metadata };
      return textOf(["capture", command.hold, command.amount, how]);
    }
    case "release":
      return textOf(["release", command.hold]);
    case "account":
      return textOf(["account", command.account, command.change]);
    case "metadata":
      return textOf(["metadata", command.of, command.set, command.deleted]);
    default: {
      const { input, options } = postOf(command);
      const { onShortfall = "reject" } = options;
      const postings = input.postings.map(({ expiresAt = null, ...posting }) => {
        return { ...posting, expiresAt };
      });
      return textOf(["post", { ...input, postings }, onShortfall]);
    }
  }
}

/** The reference that it would take. */
export function referenceOf(command: NaiveCommand): string | undefined {
  if ("input" in command) return command.input.reference;
  return command.does === "revert" || command.does === "capture"
    ? command.options.reference
    : undefined;
}

/** The same text for the same values, whatever the order of their keys. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, of: unknown) => {
    if (typeof of === "bigint") return `${of}n`;
    if (typeof of !== "object" || of === null || Array.isArray(of)) return of;
    return Object.fromEntries(Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
