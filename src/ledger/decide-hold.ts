import { InvalidArgumentError } from "../errors.ts";
import {
  bytesAtMost,
  checkBalances,
  checkSize,
  type DecideContext,
  decidePostings,
  draftOf,
  USUAL,
} from "./decide-postings.ts";
import {
  AccountNotUsableError,
  HoldEndedError,
  HoldExceededError,
  HoldNotFoundError,
  InsufficientFundsError,
  PreconditionFailedError,
} from "./errors.ts";
import type { ActiveHold } from "./holding.ts";
import type { Captured, HoldPlacedEntry, HoldReleasedEntry, PostedEntry } from "./journal-entry.ts";
import { lookUp } from "./lookups.ts";
import { WORLD } from "./names.ts";
import type { AskedCapture, AskedHold, AskedPlace, AskedRelease } from "./prepare.ts";
import { type HoldPlace, idOf } from "./state.ts";

/** Active holds of one account in one asset: each that is placed or ended copies the list of them. */
export const MAX_HOLDS = 10_000;

/** @throws {PreconditionFailedError} where too many are active */
export function decideHold(asked: AskedHold, context: DecideContext): HoldPlacedEntry {
  const { state, decidedAt, content } = context;
  const { from, to, asset, amount, expiresAt, reference, metadata, options } = asked;
  if (from === WORLD) throw new InvalidArgumentError("from", "an account other than world", from);
  if (expiresAt <= decidedAt) {
    const expected = `an instant after ${new Date(decidedAt).toISOString()}`;
    throw new InvalidArgumentError("expiresAt", expected, new Date(expiresAt));
  }
  const at = asked.at ?? decidedAt;
  checkBalances(context, options.expect, at);
  const account = state.books.account(from);
  const { overdraft, issuer, closed, frozen } = account.value;
  if (closed || frozen) throw new AccountNotUsableError(from, closed ? "closed" : "frozen");
  const cell = state.books.holding(account, asset);
  if (cell.holdCount >= MAX_HOLDS) {
    const active = cell.value.holdsAt(decidedAt).list.length;
    const what = `the number of active holds of ${from} in ${asset}`;
    if (active >= MAX_HOLDS)
      throw new PreconditionFailedError(what, `less than ${MAX_HOLDS}`, String(active));
  }
  if (!issuer && overdraft !== undefined) {
    let available = cell.spendable(at, decidedAt) + overdraft;
    if (at !== decidedAt) {
      // what has expired since then can be held no more
      const unheld = cell.value.unheld(decidedAt) + overdraft;
      if (unheld < available) available = unheld;
    }
    if (amount > available) throw new InsufficientFundsError(from, asset, amount, available);
  }
  const entry: HoldPlacedEntry = {
    kind: "hold-placed",
    decidedAt,
    key: options.key,
    content,
    at,
    account: from,
    asset,
    amount,
    to,
    expiresAt,
    reference,
    metadata,
  };
  checkSize(entry, bytesAtMost(entry, asked.metadataBytes), context);
  state.placeHold(entry);
  return entry;
}

export function decideCapture(asked: AskedCapture, context: DecideContext): PostedEntry {
  const { state, decidedAt } = context;
  const { metadataBytes, options, expiresAt, final } = asked;
  const { place, hold } = activeHold(asked.hold, context);
  const amount = asked.amount ?? hold.remaining;
  if (amount > hold.remaining)
    throw new HoldExceededError(idOf(asked.hold), amount, hold.remaining);
  const destination = asked.to ?? hold.to;
  const { account: source, asset, position, index, version } = place;
  if (destination === source)
    throw new InvalidArgumentError("to", "another account than the hold's", destination);
  const at = asked.at ?? decidedAt;
  checkBalances(context, options.expect, at);
  const ended = final || amount === hold.remaining;
  const captures: Captured = { position, index, version, amount, ended };
  state.capture(captures, decidedAt);
  const draft = draftOf(context, options.key, at, asked, undefined, captures);
  const postings = [{ source, destination, asset, amount, expiresAt }];
  return decidePostings(context, draft, postings, USUAL, metadataBytes);
}

export function decideRelease(
  { hold: asked, options }: AskedRelease,
  context: DecideContext,
): HoldReleasedEntry {
  const { state, decidedAt, content } = context;
  const { position, index, version } = activeHold(asked, context).place;
  const hold = { position, index, version };
  state.endHold(hold, decidedAt);
  return { kind: "hold-released", decidedAt, key: options.key, content, hold };
}

/** @throws {HoldNotFoundError}, {HoldEndedError} */
function activeHold(
  asked: AskedPlace,
  { state, lookups, decidedAt }: DecideContext,
): { readonly place: HoldPlace; readonly hold: ActiveHold } {
  const id = idOf(asked);
  const place = state.holds.get(id);
  const { hold } = (place === undefined ? undefined : state.findHold(place)) ?? {};
  if (place !== undefined && hold !== undefined && hold.expiresAt > decidedAt)
    return { place, hold };
  if (place !== undefined && hold !== undefined) throw new HoldEndedError(id, "expired");
  const found = lookUp(lookups, id);
  if (found?.entry.kind !== "hold-placed") {
    const stands = found === undefined ? "no entry of this ledger" : `a ${found.entry.kind} entry`;
    throw new HoldNotFoundError(id, `${stands} stands there`);
  }
  const { expiresAt } = found.entry;
  throw new HoldEndedError(id, expiresAt <= decidedAt ? "expired" : "captured or released");
}
