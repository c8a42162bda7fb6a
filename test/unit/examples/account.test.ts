import { describe, expect, it } from "vitest";
import {
  type AccountEvent,
  account,
  InsufficientFundsError,
  isOutcomeOf,
  SameAccountError,
} from "../../../examples/microservice/account.ts";
import { given } from "../../../src/testing/index.ts";

const deposited: AccountEvent = { type: "Deposited", data: { amount: 10n } };
const bob = { type: "account", id: "bob" } as const;

describe("the account of the microservice", () => {
  it("takes deposits", () => {
    given(account, [deposited])
      .when({ type: "Deposit", amount: 5n })
      .then({
        events: [{ type: "Deposited", data: { amount: 5n } }],
        state: { balance: 15n },
        appends: [],
      });
  });

  it("gives what it has, and not more", () => {
    given(account, [deposited])
      .when({ type: "Withdraw", amount: 10n })
      .then({ state: { balance: 0n } });
    given(account, [deposited])
      .when({ type: "Withdraw", amount: 11n })
      .then(InsufficientFundsError);
  });

  it("transfers by an event of each account", () => {
    given(account, [deposited], { id: "alice" })
      .when({ type: "Transfer", to: "bob", amount: 4n })
      .then({
        events: [{ type: "TransferSent", data: { to: "bob", amount: 4n } }],
        state: { balance: 6n },
        appends: [
          {
            actor: bob,
            events: [{ type: "TransferReceived", data: { from: "alice", amount: 4n } }],
          },
        ],
      });
  });

  it("transfers neither to itself nor what it does not have", () => {
    given(account, [deposited], { id: "alice" })
      .when({ type: "Transfer", to: "alice", amount: 1n })
      .then(SameAccountError);
    given(account, [])
      .when({ type: "Transfer", to: "bob", amount: 1n })
      .then(InsufficientFundsError);
  });

  it("counts what it received", () => {
    const received: AccountEvent = {
      type: "TransferReceived",
      data: { from: "bob", amount: 3n },
    };
    given(account, [deposited, received])
      .when({ type: "Withdraw", amount: 13n })
      .then({ state: { balance: 0n } });
  });

  it("knows the events of a command from those of another", () => {
    const sent: AccountEvent = { type: "TransferSent", data: { to: "bob", amount: 4n } };
    expect(isOutcomeOf({ type: "Transfer", to: "bob", amount: 4n }, sent)).toBe(true);
    expect(isOutcomeOf({ type: "Transfer", to: "carol", amount: 4n }, sent)).toBe(false);
    expect(isOutcomeOf({ type: "Transfer", to: "bob", amount: 5n }, sent)).toBe(false);
    expect(isOutcomeOf({ type: "Withdraw", amount: 4n }, sent)).toBe(false);
  });
});
