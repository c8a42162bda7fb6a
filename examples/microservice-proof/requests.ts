/** A request that changes accounts, as a client makes it up. */
export interface BankRequest {
  /** Its Idempotency-Key. */
  readonly key: string;
  readonly kind: "deposit" | "withdraw" | "transfer";
  readonly account: string;
  /** Where a transfer goes. */
  readonly to?: string | undefined;
  readonly amount: bigint;
}

/** The service has said that it is done. */
export interface Acknowledgement extends BankRequest {
  readonly outcome: "acknowledged";
  readonly version: number;
  readonly commitId: string;
  /** Whether an earlier attempt had done it, whose answer was not heard. */
  readonly replayed: boolean;
}

/** The service has said that it is not done, and why. */
export interface Refusal extends BankRequest {
  readonly outcome: "refused";
  /** No answer was heard of an earlier attempt: it may be done even so, after the refusal. */
  readonly inDoubt: boolean;
}

/** What a client was told in the end. */
export type Answer = Acknowledgement | Refusal;

const OPENING = 1_000n;
const TRANSFER_MOST = 400;
const OTHERS_MOST = 200;

/** Name of an account. */
export function accountName(number: number): string {
  return `account-${String(number + 1).padStart(3, "0")}`;
}

/** The request with a number: first each account gets something, then money moves at random. */
export function makeRequest(number: number, accounts: number, random: () => number): BankRequest {
  const key = `request-${number + 1}`;
  if (number < accounts) {
    return { key, kind: "deposit", account: accountName(number), amount: OPENING };
  }
  const from = Math.floor(random() * accounts);
  const account = accountName(from);
  const kind = random();
  const amount = (most: number): bigint => BigInt(1 + Math.floor(random() * most));
  if (kind < 0.25) return { key, kind: "deposit", account, amount: amount(OTHERS_MOST) };
  if (kind < 0.5) return { key, kind: "withdraw", account, amount: amount(OTHERS_MOST) };
  const to = accountName((from + 1 + Math.floor(random() * (accounts - 1))) % accounts);
  return { key, kind: "transfer", account, to, amount: amount(TRANSFER_MOST) };
}

/** Where a request goes, and what it says. */
export function toHttp({ kind, account, to, amount }: BankRequest): {
  readonly path: string;
  readonly body: string;
} {
  if (kind === "transfer") {
    const body = { from: account, to, amount: String(amount) };
    return { path: "/transfers", body: JSON.stringify(body) };
  }
  return {
    path: `/accounts/${account}/${kind}`,
    body: JSON.stringify({ amount: String(amount) }),
  };
}
