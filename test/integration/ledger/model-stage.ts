import assert from "node:assert/strict";
import type { DrainPolicyName } from "../../../src/ledger/account.ts";
import type { CommandResult, Ledger, TransactionResult } from "../../../src/ledger/index.ts";
import { refusalOf } from "../../support/ledger-process.ts";
import { ACCOUNTS, ASSETS, OPENED } from "../../support/ledger-script.ts";
import type { Refusal } from "../../support/naive-books.ts";
import type { NaiveCommand } from "../../support/naive-commands.ts";
import { type Done, NaiveLedger } from "../../support/naive-ledger.ts";
import { after, LedgerStage } from "./ledger-stage.ts";

/** Codes of what a ledger refuses for good; of anything else it is open whether it was done. */
const REFUSALS = new Set([
  "account_not_usable",
  "account_options",
  "already_reverted",
  "duplicate_reference",
  "hold_ended",
  "hold_exceeded",
  "hold_not_found",
  "idempotency_conflict",
  "insufficient_funds",
  "invalid_argument",
  "precondition_failed",
  "transaction_not_found",
]);

/** A real ledger and a naive one that do the same. */
export class ModelStage implements AsyncDisposable {
  readonly stage: LedgerStage;
  readonly naive: NaiveLedger;
  /** Ids of entries, by their numbers. */
  readonly #ids = new Map<number, string>();

  private constructor(stage: LedgerStage, naive: NaiveLedger) {
    this.stage = stage;
    this.naive = naive;
  }

  static async open(drainPolicy: DrainPolicyName): Promise<ModelStage> {
    const { stage, ledger } = await LedgerStage.create({ drainPolicy });
    const model = new ModelStage(
      stage,
      new NaiveLedger(drainPolicy, { lots: true, overdraft: 0n }),
    );
    for (const [account, change] of OPENED) {
      const command: NaiveCommand = { does: "account", account, change, options: {} };
      model.agree(command, await model.perform(ledger, command));
    }
    return model;
  }

  get now(): number {
    return this.stage.nowMs;
  }

  /** Both did it: they must say the same. */
  agree(command: NaiveCommand, real: Done | Refusal, now: number = this.now): void {
    const naive = this.naive.run(command, now);
    assert.deepStrictEqual({ command, came: comparable(real, naive) }, { command, came: naive });
  }

  /**
   * Does a command on the real ledger.
   *
   * @throws what leaves open whether it was done
   */
  async perform(ledger: Ledger, command: NaiveCommand): Promise<Done | Refusal> {
    try {
      const result = await send(ledger, command, (version) => this.#ids.get(version) ?? "999999.0");
      const { id, version, replayed, amounts = [] } = result;
      if (command.options.dryRun !== true && id !== "") this.#ids.set(version, id);
      return { version, amounts, replayed };
    } catch (error) {
      const refusal = refusalOf(error);
      if (REFUSALS.has(refusal.refused)) return refusal;
      throw error;
    }
  }

  /** Compares all that a ledger says of funds with what the naive one says. */
  async compare(ledger: Ledger): Promise<void> {
    await ledger.refresh();
    const { books, version, decidedAt } = this.naive;
    assert.equal(ledger.version, version);
    const instants = [-60, 0, 40].map((ms) => after(new Date(this.now), ms));
    for (const account of ACCOUNTS) {
      for (const asset of ASSETS) {
        const real: unknown[] = [];
        const naive: unknown[] = [];
        for (const at of instants) {
          const when = { at: at.getTime(), decidedAt: Math.max(at.getTime(), decidedAt) };
          real.push(await ledger.balance(account, asset, { at }));
          naive.push(books.balance(account, asset, when.at));
          real.push(await ledger.available(account, asset, { at }));
          naive.push(books.available(account, asset, when));
        }
        assert.deepStrictEqual({ account, asset, funds: real }, { account, asset, funds: naive });
      }
    }
    const differences = (await ledger.trialBalance()).map(({ difference }) => difference);
    assert.deepStrictEqual(differences, Array(differences.length).fill(0n));
  }

  /** The same of all lots that there ever were, in the order of their granting, read from the journal. */
  async compareLots(ledger: Ledger): Promise<void> {
    const { books } = this.naive;
    for (const account of ACCOUNTS) {
      for (const asset of ASSETS) {
        const lots = await ledger.lots(account, asset);
        const real = lots.map(
          ({ transactionId, index, grantedAt, expiresAt, reference, ...of }) => ({
            transactionId,
            index,
            grantedAt: grantedAt.getTime(),
            expiresAt: expiresAt?.getTime() ?? Infinity,
            reference: reference ?? "",
            ...of,
          }),
        );
        const naive = books.lots(account, asset, "emission-first@1").map(({ version, ...of }) => ({
          transactionId: this.#ids.get(version),
          ...of,
        }));
        assert.deepStrictEqual({ account, asset, lots: real }, { account, asset, lots: naive });
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stage[Symbol.asyncDispose]();
  }
}

/** Without what the naive ledger says nothing of: how much a revert was short of. */
export function comparable(real: Done | Refusal, naive: Done | Refusal): Done | Refusal {
  const isFree = "refused" in naive && naive.funds === undefined;
  return isFree && "refused" in real ? { refused: real.refused } : real;
}

async function send(
  ledger: Ledger,
  command: NaiveCommand,
  idOf: (version: number) => string,
): Promise<CommandResult & Partial<TransactionResult>> {
  const { options } = command;
  switch (command.does) {
    case "post":
      return ledger.post(command.input, options);
    case "grant":
      return ledger.grant(command.input, options);
    case "spend":
      return ledger.spend(command.input, options);
    case "transfer":
      return ledger.transfer(command.input, options);
    case "revert":
      return ledger.revert(idOf(command.target), command.options);
    case "hold":
      return ledger.hold(command.input, options);
    case "capture":
      return ledger.capture(idOf(command.hold), command.amount, command.options);
    case "release":
      return ledger.release(idOf(command.hold), options);
    case "account":
      return ledger.openAccount(command.account, command.change, options);
    case "metadata": {
      const { of, set, deleted } = command;
      const whose = typeof of === "string" ? { account: of } : { transaction: idOf(of) };
      return deleted.length > 0
        ? ledger.deleteMetadata(whose, deleted, options)
        : ledger.setMetadata(whose, set, options);
    }
    default:
      throw new TypeError(`a command of no kind: ${String(command satisfies never)}`);
  }
}
