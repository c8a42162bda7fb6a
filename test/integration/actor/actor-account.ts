import { type ActorDefinition, type ActorKind, defineActor } from "../../../src/actor/index.ts";

export type AccountEvent =
  | { readonly type: "Deposited"; readonly data: { readonly amount: number } }
  | { readonly type: "Withdrawn"; readonly data: { readonly amount: number } };

export type Bank = { account: AccountEvent };

export interface Account {
  readonly type: "account";
  readonly id: string;
}

export interface Balance {
  readonly balance: number;
  readonly count: number;
}

export type AccountCommand =
  | { readonly type: "Deposit"; readonly amount: number }
  | { readonly type: "Withdraw"; readonly amount: number }
  /** To another account, in one atomic append. */
  | { readonly type: "Transfer"; readonly amount: number; readonly to: string }
  /** Nothing happens where the balance is that much already. */
  | { readonly type: "RaiseTo"; readonly balance: number };

export type AccountKind = ActorKind<"account", Balance, AccountCommand, AccountEvent>;
export type AccountDefinition = ActorDefinition<"account", Balance, AccountCommand, AccountEvent>;

/** A domain error: none of Annal's. */
export class InsufficientFunds extends Error {
  readonly balance: number;

  constructor(balance: number) {
    super(`the balance is ${balance}`);
    this.balance = balance;
  }
}

export const decideAccount: AccountDefinition["decide"] = (command, { balance }, context) => {
  switch (command.type) {
    case "Deposit":
      return [{ type: "Deposited", data: { amount: command.amount } }];
    case "RaiseTo": {
      const amount = command.balance - balance;
      return amount <= 0 ? [] : [{ type: "Deposited", data: { amount } }];
    }
    case "Transfer": {
      const { amount, to } = command;
      if (balance < amount) throw new InsufficientFunds(balance);
      const deposited = { type: "Deposited", data: { amount } } as const;
      context.append({ actor: account(to), events: [deposited] });
      return [{ type: "Withdrawn", data: { amount } }];
    }
    case "Withdraw":
      if (balance < command.amount) throw new InsufficientFunds(balance);
      return [{ type: "Withdrawn", data: { amount: command.amount } }];
    default:
      return command satisfies never;
  }
};

export const evolveAccount: AccountDefinition["evolve"] = ({ balance, count }, { type, data }) => ({
  balance: type === "Deposited" ? balance + data.amount : balance - data.amount,
  count: count + 1,
});

/** Accounts, with parts of their definition changed. */
export function accountKind(changes: Partial<AccountDefinition> = {}): AccountKind {
  return defineActor({
    type: "account",
    initialState: { balance: 0, count: 0 },
    decide: decideAccount,
    evolve: evolveAccount,
    snapshot: { version: 1 },
    ...changes,
  });
}

export function account(id: string): Account {
  return { type: "account", id };
}

export function deposit(amount = 1): AccountCommand {
  return { type: "Deposit", amount };
}

export function withdraw(amount = 1): AccountCommand {
  return { type: "Withdraw", amount };
}

export function transfer(to: string, amount = 1): AccountCommand {
  return { type: "Transfer", to, amount };
}

/** The events of deposits, to append past any host. */
export function deposited(...amounts: readonly number[]): AccountEvent[] {
  return amounts.map((amount) => ({ type: "Deposited", data: { amount } }));
}
