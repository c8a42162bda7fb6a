import type { Commit } from "annal";
import type { AccountEvent, Bank } from "../microservice/account.ts";
import type { Claim } from "../lib/proof.ts";
import { formatCount } from "../lib/table.ts";
import type { Answer } from "./requests.ts";

/** A commit of the stream, as far as the audit looks at it. */
export type SeenCommit = Pick<
  Commit<Bank>,
  "actor" | "commitId" | "position" | "firstVersion" | "version" | "metadata"
> & { readonly events: readonly Pick<AccountEvent, "type" | "data">[] };

/** What an account amounts to. */
export interface AccountSum {
  readonly balance: bigint;
  readonly version: number;
}

/** One side of a transfer. */
interface Half {
  readonly account: string;
  readonly other: string;
  readonly amount: bigint;
  readonly position: number;
}

interface Transfer {
  readonly sent: Half[];
  readonly received: Half[];
}

/**
 * Compares the stream with what clients were told. It knows nothing of the service's code but the names of events, and adds
 * up by itself.
 */
export class Audit {
  readonly #answers: readonly Answer[];
  readonly #accounts = new Map<string, AccountSum>();
  readonly #transfers = new Map<string, Transfer>();
  readonly #commitsByKey = new Map<string, SeenCommit[]>();
  readonly #gaps: string[] = [];
  readonly #overdrafts: string[] = [];
  #deposited = 0n;
  #withdrawn = 0n;
  #commits = 0;

  constructor(answers: readonly Answer[]) {
    this.#answers = answers;
  }

  /** Commits that were looked at. */
  get commits(): number {
    return this.#commits;
  }

  /** The next commit of the stream, in its order. */
  take(commit: SeenCommit): void {
    const { actor, firstVersion, version, position, metadata, events } = commit;
    this.#commits++;
    const before = this.#accounts.get(actor.id) ?? { balance: 0n, version: 0 };
    if (firstVersion !== before.version + 1) {
      this.#gaps.push(`${actor.id}: version ${firstVersion} stands behind ${before.version}`);
    }
    let { balance } = before;
    for (const event of events) balance += this.#effectOf(event, commit);
    if (balance < 0n) this.#overdrafts.push(`${actor.id}: ${balance} at version ${version}`);
    this.#accounts.set(actor.id, { balance, version });
    const key = metadata.causationId ?? `none, at position ${position}`;
    this.#commitsByKey.set(key, [...(this.#commitsByKey.get(key) ?? []), commit]);
  }

  /**
   * What must be so, when all commits were taken.
   *
   * @param told accounts as a living instance tells them
   */
  claims(told: ReadonlyMap<string, AccountSum>): readonly Claim[] {
    const moved = this.#deposited - this.#withdrawn;
    const held = [...this.#accounts.values()].reduce((sum, { balance }) => sum + balance, 0n);
    const acknowledged = this.#answers.filter(({ outcome }) => outcome === "acknowledged").length;
    const amount = (of: bigint): string => of.toLocaleString("en-US");
    return [
      {
        text:
          `money is conserved: ${amount(this.#deposited)} paid in less ${amount(this.#withdrawn)} paid out are the ` +
          `${amount(moved)} on the accounts`,
        violations: held === moved ? [] : [`the accounts hold ${amount(held)}`],
      },
      {
        text: `${formatCount(this.#transfers.size)} transfers stand in both accounts, each once, in one commit`,
        violations: this.#halves(),
      },
      {
        text: `${formatCount(acknowledged)} acknowledged requests are in the stream as they were acknowledged`,
        violations: this.#lost(),
      },
      { text: "no request has had its effect twice", violations: this.#doubled() },
      { text: "what was refused has had no effect", violations: this.#refusedAndStored() },
      { text: "nothing is there that no client asked for", violations: this.#unasked() },
      { text: "no balance was ever negative", violations: this.#overdrafts },
      { text: "the accounts' versions have no gap", violations: this.#gaps },
      {
        text: `a living instance tells the same of all ${formatCount(told.size)} accounts`,
        violations: this.#toldOtherwise(told),
      },
    ];
  }

  /** What an event does to its account's balance. */
  #effectOf({ type, data }: Pick<AccountEvent, "type" | "data">, commit: SeenCommit): bigint {
    const { amount } = data;
    const { actor, commitId, position } = commit;
    if (type === "Deposited") {
      this.#deposited += amount;
      return amount;
    }
    if (type === "Withdrawn") {
      this.#withdrawn += amount;
      return -amount;
    }
    // the commit ids of one append to several actors differ in the number behind the last slash
    const id = commitId.replace(/\/\d+$/, "");
    const transfer = this.#transfers.get(id) ?? { sent: [], received: [] };
    this.#transfers.set(id, transfer);
    const account = actor.id;
    if ("to" in data) transfer.sent.push({ account, other: data.to, amount, position });
    if ("from" in data) transfer.received.push({ account, other: data.from, amount, position });
    return type === "TransferSent" ? -amount : amount;
  }

  #halves(): string[] {
    return [...this.#transfers].flatMap(([id, { sent, received }]) => {
      const [from, to] = [sent[0], received[0]];
      if (sent.length !== 1 || received.length !== 1 || from === undefined || to === undefined) {
        return [`${id}: sent ${sent.length} times, received ${received.length} times`];
      }
      const isWhole =
        from.other === to.account && to.other === from.account && from.amount === to.amount;
      if (!isWhole) {
        return [
          `${id}: ${from.account} sent ${from.amount} to ${from.other}, ` +
            `${to.account} received ${to.amount} from ${to.other}`,
        ];
      }
      // an atomic append is stored without a gap
      return Math.abs(from.position - to.position) === 1
        ? []
        : [`${id}: its halves stand at ${from.position} and ${to.position}`];
    });
  }

  #lost(): string[] {
    return this.#answers.flatMap((answer) => {
      if (answer.outcome !== "acknowledged") return [];
      const { key, account, version, commitId } = answer;
      const commits = this.#commitsByKey.get(key) ?? [];
      const found = commits.find((commit) => commit.actor.id === account);
      if (found === undefined) return [`${key}: acknowledged and nowhere in the stream`];
      const [event] = found.events;
      const isSo =
        found.version === version &&
        found.commitId === commitId &&
        found.events.length === 1 &&
        event !== undefined &&
        isAsAsked(answer, event);
      if (isSo) return [];
      const stands = `${found.commitId} at version ${found.version}, ${event?.type}`;
      return [`${key}: acknowledged as ${commitId} at version ${version}, found ${stands}`];
    });
  }

  #doubled(): string[] {
    return [...this.#commitsByKey].flatMap(([key, commits]) => {
      const accounts = new Set(commits.map(({ actor }) => actor.id));
      const ids = new Set(commits.map(({ commitId }) => commitId.replace(/\/\d+$/, "")));
      if (accounts.size === commits.length && ids.size === 1) return [];
      return [`${key}: at positions ${commits.map(({ position }) => position).join(", ")}`];
    });
  }

  #refusedAndStored(): string[] {
    return this.#answers.flatMap((answer) => {
      if (answer.outcome !== "refused" || answer.inDoubt) return [];
      const [stored] = this.#commitsByKey.get(answer.key) ?? [];
      return stored === undefined ? [] : [`${answer.key}: refused, at position ${stored.position}`];
    });
  }

  #unasked(): string[] {
    const asked = new Set(this.#answers.map(({ key }) => key));
    return [...this.#commitsByKey.keys()].filter((key) => !asked.has(key));
  }

  #toldOtherwise(told: ReadonlyMap<string, AccountSum>): string[] {
    const telling = (sum: AccountSum | undefined): string =>
      sum === undefined ? "nothing" : `${sum.balance} at version ${sum.version}`;
    // what either knows: an instance may tell of an account that the stream does not have
    return [...new Set([...this.#accounts.keys(), ...told.keys()])].flatMap((id) => {
      const [stored, said] = [telling(this.#accounts.get(id)), telling(told.get(id))];
      return stored === said ? [] : [`${id}: ${stored}, the instance says ${said}`];
    });
  }
}

function isAsAsked(
  { kind, to, amount }: Answer,
  { type, data }: Pick<AccountEvent, "type" | "data">,
): boolean {
  if (data.amount !== amount) return false;
  if (kind === "deposit") return type === "Deposited";
  if (kind === "withdraw") return type === "Withdrawn";
  return type === "TransferSent" && "to" in data && data.to === to;
}
