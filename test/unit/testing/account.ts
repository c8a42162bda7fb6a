import { type ActorKind, defineActor } from "../../../src/actor/definition.ts";

export type AccountEvent =
  | {
      readonly type: "Deposited";
      readonly data: { readonly amount: bigint; readonly note?: string };
    }
  | { readonly type: "Withdrawn"; readonly data: { readonly amount: bigint } }
  | { readonly type: "Closed" };

export type AccountCommand =
  | { readonly type: "Deposit"; readonly amount: bigint; readonly note?: string | undefined }
  | { readonly type: "Withdraw"; readonly amount: bigint }
  | { readonly type: "Transfer"; readonly amount: bigint; readonly to: string }
  | { readonly type: "Close" };

export interface AccountState {
  readonly balance: bigint;
  readonly closed: boolean;
}

/** More was to be taken than there is. */
export class InsufficientFundsError extends Error {
  readonly balance: bigint;

  constructor(balance: bigint) {
    super("insufficient funds");
    this.balance = balance;
  }
}

const open: AccountState = { balance: 0n, closed: false };

export const account: ActorKind<"account", AccountState, AccountCommand, AccountEvent> =
  defineActor({
    type: "account",
    initialState: open,
    decide(command: AccountCommand, state, context) {
      if (command.type === "Close") return state.closed ? [] : [{ type: "Closed" }];
      const { amount } = command;
      if (command.type === "Deposit") {
        const { note } = command;
        return [{ type: "Deposited", data: note === undefined ? { amount } : { amount, note } }];
      }
      if (state.balance < amount) throw new InsufficientFundsError(state.balance);
      if (command.type === "Transfer") {
        const actor = { type: "account", id: command.to };
        context.append({ actor, events: [{ type: "Deposited", data: { amount } }] });
      }
      return [{ type: "Withdrawn", data: { amount } }];
    },
    evolve(state, event: AccountEvent) {
      if (event.type === "Closed") return { ...state, closed: true };
      const { amount } = event.data;
      return {
        ...state,
        balance: event.type === "Deposited" ? state.balance + amount : state.balance - amount,
      };
    },
    snapshot: { version: 1 },
  });

type Noted = { readonly type: "Noted"; readonly data: unknown };
export type Notes = ActorKind<"notes", unknown, unknown, Noted>;

/** An actor that notes what it is commanded, and whose state is the last note; with another part where one is given. */
export function notes(parts: Partial<Omit<Notes, "type">> = {}): Notes {
  return defineActor({
    type: "notes",
    initialState: undefined,
    decide: (command: unknown) => [{ type: "Noted" as const, data: command }],
    evolve: (_: unknown, event: Noted): unknown => event.data,
    ...parts,
  });
}

export function noted(data: unknown): Noted {
  return { type: "Noted", data };
}
