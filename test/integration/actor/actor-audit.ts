import assert from "node:assert/strict";
import type { CommandResult } from "../../../src/actor/index.ts";
import type { EventStore } from "../../../src/index.ts";
import {
  type AccountCommand,
  type AccountEvent,
  type Balance,
  type Bank,
  evolveAccount,
} from "./actor-account.ts";

/** A command, and all that its sender knows of it. */
export interface Sent {
  readonly commandId: string;
  readonly actor: string;
  readonly command: AccountCommand;
  /** The highest version of the actor that anybody had been told of when it was sent. */
  readonly from: number;
  /** What it came to; "refused" by the definition. */
  readonly came: CommandResult<Balance, AccountEvent> | "refused";
  /** The actor's version after it. */
  readonly to: number;
}

interface StoredCommit {
  readonly actor: string;
  readonly commitId: string;
  readonly version: number;
  readonly position: number;
  readonly events: readonly AccountEvent[];
}

/** What the stream holds, and what a naive reading makes of it. */
export class Audit {
  readonly commits: StoredCommit[] = [];
  /** By actor: the state behind each version, from 0. */
  readonly #states = new Map<string, Balance[]>();

  /** Reads the whole stream; versions must be dense. */
  static async of(store: EventStore<Bank>): Promise<Audit> {
    const audit = new Audit();
    for await (const {
      actor,
      firstVersion,
      version,
      events,
      commitId,
      position,
    } of store.readCommits()) {
      const states = audit.statesOf(actor.id);
      assert.equal(firstVersion, states.length, `${actor.id} at position ${position}`);
      for (const event of events) states.push(evolveAccount(last(states), event));
      assert.equal(version, states.length - 1);
      const plain = events.map(({ type, data }) => ({ type, data }));
      audit.commits.push({ actor: actor.id, commitId, version, position, events: plain });
    }
    return audit;
  }

  /** States of an actor, by version. */
  statesOf(actor: string): Balance[] {
    let states = this.#states.get(actor);
    if (states === undefined) this.#states.set(actor, (states = [{ balance: 0, count: 0 }]));
    return states;
  }

  /** All that is in all accounts. */
  get total(): number {
    return [...this.#states.values()].reduce((sum, states) => sum + last(states).balance, 0);
  }

  /** Each command had the effect that its sender was told of, once. */
  check(sent: readonly Sent[], known: (commitId: string) => boolean): void {
    const left = new Map(
      this.commits.map((commit) => [`${commit.actor} ${commit.commitId}`, commit]),
    );
    assert.equal(left.size, this.commits.length, "a commit id stands twice");
    for (const each of sent) this.#checkOne(each, left);
    const strange = [...left.values()].filter(({ commitId }) => !known(commitId));
    assert.deepEqual(strange, [], "commits of commands that had no effect");
  }

  #checkOne(sent: Sent, left: Map<string, StoredCommit>): void {
    const { actor, command, came, from, to } = sent;
    const states = this.statesOf(actor);
    if (came === "refused") {
      assert.ok("amount" in command);
      const isPoor = ({ balance }: Balance): boolean => balance < command.amount;
      assert.ok(states.slice(from, to + 1).some(isPoor), `falsely refused: ${text(sent)}`);
      return;
    }
    assert.deepEqual(came.state, states[came.version], text(sent));
    if (came.events.length === 0) {
      assert.ok(command.type === "RaiseTo" && came.state.balance >= command.balance);
      assert.ok(came.version >= from && came.version <= to, `falsely empty: ${text(sent)}`);
      return;
    }
    const events = came.events.map(({ type, data }) => ({ type, data }));
    const own = take(left, actor, came.commitId);
    assert.ok(own !== undefined, `lost: ${text(sent)}`);
    const { version, position } = own;
    assert.deepEqual([version, position, own.events], [came.version, came.position, events]);
    if (command.type !== "Transfer") return;
    // the parts are numbered in the order of their subjects
    const part = actor < command.to ? "1" : "0";
    const other = take(left, command.to, came.commitId?.replace(/\d$/, part));
    assert.deepEqual(other?.events, [{ type: "Deposited", data: { amount: command.amount } }]);
    assert.equal(Math.abs(other.position - position), 1);
  }
}

function take(
  left: Map<string, StoredCommit>,
  actor: string,
  commitId: string | undefined,
): StoredCommit | undefined {
  const key = `${actor} ${commitId}`;
  const found = left.get(key);
  left.delete(key);
  return found;
}

function last<T>(list: readonly T[]): T {
  const found = list.at(-1);
  if (found === undefined) throw new Error("an empty list");
  return found;
}

function text(value: unknown): string {
  return JSON.stringify(value);
}
