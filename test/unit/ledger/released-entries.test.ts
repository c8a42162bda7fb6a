import { expect, it } from "vitest";
import { preparePost } from "../../../src/ledger/prepare.ts";
import {
  prepareAccountChange,
  prepareCapture,
  prepareHold,
  prepareMetadataChange,
  prepareRelease,
  prepareRevert,
} from "../../../src/ledger/prepare-more.ts";
import { DecidingLedger } from "../../support/deciding-ledger.ts";

const ASSET = "CREDIT/2";
const NOW = 1_000;

it("entries that were written are let go of, but for what is needed when they are acknowledged", () => {
  const ledger = new DecidingLedger("emission-first@1");
  const { state } = ledger;
  const post = preparePost({
    postings: [{ source: "world", destination: "a", asset: ASSET, amount: 9n }],
  });
  const expiresAt = new Date(NOW + 100);
  const hold = prepareHold({ from: "a", to: "b", asset: ASSET, amount: 2n, expiresAt }, {});
  const kinds = (): (string | undefined)[] => state.openEntries.map((entry) => entry?.kind);

  for (const asked of [post, hold, hold, post]) ledger.decide(asked, NOW);
  ledger.confirm(state.close(), 2);
  for (const asked of [post, hold]) ledger.decide(asked, NOW);
  state.releaseWritten();
  expect(kinds()).toEqual([undefined, "hold-placed"]);
  ledger.decide(prepareRevert("2.0", {}), NOW);
  ledger.decide(prepareCapture("2.1", undefined, {}), NOW);
  ledger.decide(prepareRelease("2.2", {}), NOW);
  ledger.decide(prepareAccountChange("c", { lots: false }, {}), NOW);
  ledger.decide(prepareMetadataChange({ transaction: "2.3" }, { of: 1 }, [], {}), NOW);
  ledger.decide(post, NOW);
  const kept = ["posted", "posted", "hold-released", "account-changed", "metadata-changed"];
  expect(kinds()).toEqual([undefined, "hold-placed", ...kept, "posted"]);
  state.releaseWritten();
  expect(kinds()).toEqual([undefined, "hold-placed", ...kept, undefined]);

  state.close();
  // of the next commit none was let go of yet
  for (const asked of [post, hold]) ledger.decide(asked, NOW);
  state.releaseWritten();
  expect(kinds()).toEqual([undefined, "hold-placed"]);
});
