import {
  type Asked,
  type AskedSingle,
  prepareGrant,
  preparePost,
  prepareSpend,
  prepareTransfer,
} from "../../src/ledger/prepare.ts";
import {
  prepareAccountChange,
  prepareCapture,
  prepareHold,
  prepareMetadataChange,
  prepareRelease,
  prepareRevert,
} from "../../src/ledger/prepare-more.ts";
import type { NaiveCommand } from "./naive-commands.ts";

/** The id of the entry with a number; of one that there is not, an id that nothing has. */
export type IdOf = (version: number) => string;

/** What a ledger makes of a command before it decides it. */
export function askedOf(command: NaiveCommand, idOf: IdOf): AskedSingle {
  switch (command.does) {
    case "post":
      return preparePost(command.input, command.options);
    case "grant":
      return preparePost(prepareGrant(command.input), command.options);
    case "spend":
      return preparePost(prepareSpend(command.input), command.options);
    case "transfer":
      return preparePost(prepareTransfer(command.input), command.options);
    case "revert":
      return prepareRevert(idOf(command.target), command.options);
    case "hold":
      return prepareHold(command.input, command.options);
    case "capture":
      return prepareCapture(idOf(command.hold), command.amount, command.options);
    case "release":
      return prepareRelease(idOf(command.hold), command.options);
    case "account":
      return prepareAccountChange(command.account, command.change, command.options);
    case "metadata": {
      const { of, set, deleted, options } = command;
      const whose = typeof of === "string" ? { account: of } : { transaction: idOf(of) };
      return prepareMetadataChange(whose, set, deleted, options);
    }
    default:
      throw new TypeError(`a command of no kind: ${String(command satisfies never)}`);
  }
}

/** All or none of several commands that post. */
export function batchOf(commands: readonly NaiveCommand[], dryRun: boolean, idOf: IdOf): Asked {
  const posts = commands.map((command) => {
    const asked = askedOf(command, idOf);
    if (asked.kind !== "post") throw new TypeError(`a batch cannot take: ${asked.kind}`);
    return { ...asked, options: { ...asked.options, dryRun } };
  });
  return { kind: "batch", options: { key: undefined, expect: undefined, dryRun }, posts };
}
