import { type DecideContext, defineActor, type Evolving } from "annal/actor";

/** What happens to accounts. Amounts are in minor units, such as cents. */
export type AccountEvent =
  | { readonly type: "Deposited"; readonly data: { readonly amount: bigint } }
  | { readonly type: "Withdrawn"; readonly data: { readonly amount: bigint } }
  | {
      readonly type: "TransferSent";
      readonly data: { readonly to: string; readonly amount: bigint };
    }
  | {
      readonly type: "TransferReceived";
      readonly data: { readonly from: string; readonly amount: bigint };
    };

/** What the store of this service holds. */
// oxlint-disable-next-line typescript/consistent-type-definitions -- an interface has no index signature, a map needs one
export type Bank = { readonly account: AccountEvent };

/** What may be asked of an account. Amounts are positive. */
export type AccountCommand =
  | { readonly type: "Deposit"; readonly amount: bigint }
  | { readonly type: "Withdraw"; readonly amount: bigint }
  | { readonly type: "Transfer"; readonly to: string; readonly amount: bigint };

export interface Account {
  readonly balance: bigint;
}

/** Why an account does not do what it is asked. */
export abstract class AccountRefusal extends Error {
  abstract readonly code: "insufficient_funds" | "same_account";
}

/** It may work later. */
export class InsufficientFundsError extends AccountRefusal {
  readonly code = "insufficient_funds";

  constructor(balance: bigint, amount: bigint) {
    super(`${amount} were asked for, the balance is ${balance}`);
  }
}

/** It never works. */
export class SameAccountError extends AccountRefusal {
  readonly code = "same_account";

  constructor(id: string) {
    super(`account ${id} cannot transfer to itself`);
  }
}

/** An account: its balance is never negative, and a transfer changes two accounts or none. */
export const account = defineActor({
  type: "account",
  initialState: { balance: 0n },
  decide,
  evolve,
  snapshot: { every: 100, version: 1 },
  // A client may repeat a request for as long as the account has not been asked for so many others; transfers that it
  // receives do not count. 3 KB an account in memory at most: see MAX_ACTORS.
  rememberedCommands: 256,
});

function decide(
  command: AccountCommand,
  { balance }: Account,
  context: DecideContext<Bank>,
): readonly AccountEvent[] {
  const { amount } = command;
  const { id } = context.actor;
  if (command.type === "Deposit") return [{ type: "Deposited", data: { amount } }];
  if (command.type === "Transfer" && command.to === id) throw new SameAccountError(id);
  if (balance < amount) throw new InsufficientFundsError(balance, amount);
  if (command.type === "Withdraw") return [{ type: "Withdrawn", data: { amount } }];
  const { to } = command;
  context.append({
    actor: { type: "account", id: to },
    events: [{ type: "TransferReceived", data: { from: id, amount } }],
  });
  return [{ type: "TransferSent", data: { to, amount } }];
}

function evolve({ balance }: Account, event: Evolving<AccountEvent>): Account {
  const { amount } = event.data;
  switch (event.type) {
    case "Deposited":
    case "TransferReceived":
      return { balance: balance + amount };
    case "Withdrawn":
    case "TransferSent":
      return { balance: balance - amount };
    default:
      throw new TypeError(`no event of accounts: ${JSON.stringify(event satisfies never)}`);
  }
}

/** Whether an event is what comes of a command: a repetition under the same key must ask for the same. */
export function isOutcomeOf(command: AccountCommand, { type, data }: AccountEvent): boolean {
  if (data.amount !== command.amount) return false;
  switch (command.type) {
    case "Deposit":
      return type === "Deposited";
    case "Withdraw":
      return type === "Withdrawn";
    case "Transfer":
      return type === "TransferSent" && data.to === command.to;
    default:
      return command satisfies never;
  }
}
