import type { LedgerCheckFinding } from "../../../src/ledger/index.ts";
import type { AccountTerms, HoldingCell } from "../../../src/ledger/cells.ts";
import { Holding } from "../../../src/ledger/holding.ts";
import { PlaceTable } from "../../../src/ledger/place-table.ts";
import { RecentPlaces } from "../../../src/ledger/recent-places.ts";
import { LotList } from "../../../src/ledger/lot-list.ts";
import type { LedgerState } from "../../../src/ledger/state.ts";
import type { Steps } from "./check-stage.ts";
import { CREDIT, there } from "./ledger-stage.ts";

/** The transaction that granted the lot which never expires. */
function versionOf(lots: LotList): number {
  for (const { grant } of lots) if (grant.expiresAt === null) return grant.version;
  throw new Error("all lots expire");
}

/** A change of a ledger's state behind its back, and what a check must find. */
export interface Damage {
  readonly title: string;
  readonly damage: (state: LedgerState) => void;
  readonly found: (
    steps: Steps,
  ) => readonly Pick<LedgerCheckFinding, "kind" | "key" | "position">[];
}

function cellOf(state: LedgerState, account: string): HoldingCell {
  return there(state.books.accounts.get(account)?.holding(CREDIT));
}

/** Changes what is acknowledged, and what is decided on with it. */
function setHolding(
  state: LedgerState,
  account: string,
  change: (holding: Holding) => Holding,
): void {
  const cell = cellOf(state, account);
  const changed = change(there(cell.confirmed));
  Object.assign(cell, { value: changed, confirmed: changed });
}

function setTerms(state: LedgerState, account: string, change: Partial<AccountTerms>): void {
  const cell = there(state.books.accounts.get(account));
  const changed = { ...there(cell.confirmed), ...change };
  Object.assign(cell, { value: changed, confirmed: changed });
}

/** The lots of an account, changed. */
function setLots(state: LedgerState, account: string, change: (lots: LotList) => LotList): void {
  setHolding(
    state,
    account,
    ({ balance, debt, lots, holds }) => new Holding(balance, debt, change(there(lots)), holds),
  );
}

export const DAMAGES: readonly Damage[] = [
  {
    title: "a changed balance",
    damage: (state) =>
      setHolding(state, "sum", ({ balance, debt }) => new Holding(balance + 1n, debt, undefined)),
    found: ({ sum: { position } }) => [
      { kind: "different", key: `holding sum ${CREDIT}`, position },
    ],
  },
  {
    title: "a changed debt",
    damage: (state) =>
      setHolding(
        state,
        "deep",
        ({ balance, debt, lots, holds }) => new Holding(balance, debt - 1n, lots, holds),
      ),
    found: ({ spend: { position } }) => [
      { kind: "different", key: `holding deep ${CREDIT}`, position },
    ],
  },
  {
    title: "a holding that is gone",
    damage: (state) => void there(state.books.accounts.get("bob")).holdings.shift(),
    found: ({ transfer, revert: { position, version } }) => [
      { kind: "missing", key: `holding bob ${CREDIT}`, position },
      { kind: "missing", key: `lot bob ${CREDIT} ${transfer.version}.0`, position },
      { kind: "missing", key: `lot bob ${CREDIT} ${version}.0`, position },
    ],
  },
  {
    title: "a lot with less left than there is",
    damage: (state) => setLots(state, "alice", (lots) => lots.remove(versionOf(lots), 0, 1n)),
    found: ({ g2, capture: { position } }) => [
      { kind: "different", key: `holding alice ${CREDIT}`, position },
      { kind: "different", key: `lot alice ${CREDIT} ${g2.version}.0`, position },
    ],
  },
  {
    title: "a lot that is gone",
    damage: (state) => setLots(state, "alice", (lots) => lots.remove(versionOf(lots), 0, 50n)),
    found: ({ g2, capture: { position } }) => [
      { kind: "different", key: `holding alice ${CREDIT}`, position },
      { kind: "missing", key: `lot alice ${CREDIT} ${g2.version}.0`, position },
    ],
  },
  {
    title: "a lot that nobody granted",
    damage: (state) =>
      setLots(state, "alice", (lots) => {
        const [lot] = lots;
        const grant = { ...there(lot).grant, lotIndex: 9 };
        return lots.insert({ grant, remaining: 1n }, state.order);
      }),
    found: ({ g1, capture: { position } }) => [
      { kind: "different", key: `holding alice ${CREDIT}`, position },
      { kind: "injected", key: `lot alice ${CREDIT} ${g1.version}.9`, position },
    ],
  },
  {
    title: "a lot that expires later than it was granted for",
    damage: (state) =>
      setLots(state, "alice", (lots) => {
        let changed = LotList.empty;
        for (const { grant, remaining } of lots) {
          const expiresAt = grant.expiresAt === null ? null : grant.expiresAt + 1;
          changed = changed.insert({ grant: { ...grant, expiresAt }, remaining }, state.order);
        }
        return changed;
      }),
    found: ({ g1, capture: { position } }) => [
      { kind: "different", key: `lot alice ${CREDIT} ${g1.version}.0`, position },
    ],
  },
  {
    title: "reserved funds that are gone",
    damage: (state) => setHolding(state, "alice", (holding) => holding.withHolds([])),
    found: ({ hold, capture: { position } }) => [
      { kind: "missing", key: `reserved alice ${CREDIT} ${hold.version}`, position },
    ],
  },
  {
    title: "reserved funds that are less",
    damage: (state) =>
      setHolding(state, "alice", (holding) =>
        holding.withHolds(holding.holds.map((hold) => ({ ...hold, remaining: 1n }))),
      ),
    found: ({ hold, capture: { position } }) => [
      { kind: "different", key: `reserved alice ${CREDIT} ${hold.version}`, position },
    ],
  },
  {
    title: "another instant of the last decision",
    damage: (state) => {
      state.confirmedAt += 1;
    },
    found: () => [{ kind: "different", key: "head", position: undefined }],
  },
  {
    title: "a hold that is gone",
    damage: (state) => state.holds.clear(),
    found: ({ hold, capture: { position } }) => [
      { kind: "missing", key: `hold ${hold.id}`, position },
    ],
  },
  {
    title: "an account with other terms",
    damage: (state) => setTerms(state, "deep", { overdraft: 101n }),
    found: ({ spend: { position } }) => [{ kind: "different", key: "account deep", position }],
  },
  {
    title: "an account with other metadata",
    damage: (state) => setTerms(state, "carol", { metadata: { name: "Karol" } }),
    found: ({ carol: { position } }) => [{ kind: "different", key: "account carol", position }],
  },
  {
    title: "an account that nobody posted to",
    damage: (state) => {
      const cell = state.books.account("mallory");
      Object.assign(cell, { confirmed: { ...cell.initial, frozen: true } });
      Object.assign(state.books.holding(cell, CREDIT), {
        confirmed: new Holding(5n, 0n, LotList.empty),
      });
    },
    found: () => [
      { kind: "injected", key: "account mallory", position: undefined },
      { kind: "injected", key: `holding mallory ${CREDIT}`, position: undefined },
    ],
  },
  {
    title: "a place that is not in the journal",
    damage: (state) => there(state.books.accounts.get("carol")?.places).add(10_000),
    found: ({ carol: { position } }) => [{ kind: "different", key: "places carol", position }],
  },
  {
    title: "a revert that is forgotten",
    damage: (state) => state.reverted.clear(),
    found: ({ sent: { version }, revert: { position } }) => [
      { kind: "missing", key: `reverted ${version}`, position },
    ],
  },
  {
    title: "a revert that never was",
    damage: (state) => void state.reverted.set(2, { position: 7, index: 0, version: 5 }),
    found: () => [{ kind: "injected", key: "reverted 2", position: undefined }],
  },
  {
    title: "metadata of a transaction that are forgotten",
    damage: (state) => state.annotated.clear(),
    found: ({ sent: { version }, said: { position } }) => [
      { kind: "missing", key: `metadata ${version}`, position },
    ],
  },
  {
    title: "references that are forgotten",
    damage: (state) => {
      const places = state.references.find(state.fingerprints.of("g1")) ?? [];
      state.references = new PlaceTable();
      for (const { position, index } of places)
        state.references.add(state.fingerprints.of("g1"), position, index);
    },
    found: ({ g2, other }) => [
      { kind: "missing", key: "reference g2", position: g2.position },
      { kind: "missing", key: "reference h2", position: other.position },
    ],
  },
  {
    title: "a reference to another place",
    damage: (state) => {
      const { references, fingerprints } = state;
      state.references = new PlaceTable();
      for (const text of ["g1", "g2", "h2"]) {
        const fingerprint = fingerprints.of(text);
        const { position, index } = there(references.find(fingerprint)?.[0]);
        state.references.add(fingerprint, position, text === "g1" ? index + 1 : index);
      }
    },
    found: ({ g1: { position } }) => [
      { kind: "injected", key: "references", position: undefined },
      { kind: "different", key: "reference g1", position },
    ],
  },
  {
    title: "a reference that no entry has",
    damage: (state) => state.references.add(state.fingerprints.of("g9"), 5, 0),
    found: () => [{ kind: "injected", key: "references", position: undefined }],
  },
  {
    title: "an idempotency key that is forgotten",
    damage: (state) => {
      state.keys = new RecentPlaces(state.keys.limit);
    },
    found: ({ g1: { position } }) => [{ kind: "missing", key: "key k1", position }],
  },
];
