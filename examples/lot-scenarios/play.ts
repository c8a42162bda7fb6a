import { DuplicateReferenceError, type Ledger, type PostingInput } from "annal/ledger";
import { ASSET, holderOf } from "./holders.ts";
import type { Scenario, ScenarioEvent } from "./scenario.ts";

/** Posts the events of a scenario to a ledger that nobody has posted to. */
export async function play(ledger: Ledger, { events }: Scenario): Promise<void> {
  // who issues is fixed by the first posting
  for (const issuer of new Set(events.filter(isIssued).map(({ sender }) => sender)))
    await ledger.openAccount(holderOf(issuer), { issuer: true });
  for (const event of events) {
    try {
      await post(ledger, event);
    } catch (error) {
      // the first write with a reference wins
      if (!(error instanceof DuplicateReferenceError)) throw error;
    }
  }
}

function isIssued({ type, sender, issuers }: ScenarioEvent): boolean {
  return type === "transfer" && issuers.includes(sender);
}

async function post(ledger: Ledger, event: ScenarioEvent): Promise<void> {
  const { type, reference, at, items, sender } = event;
  const options = { onShortfall: "partial" } as const;
  switch (type) {
    case "grant":
      await ledger.post({ reference, at, postings: items.map(grantOf) });
      return;
    case "spend":
      await ledger.post({ reference, at, postings: items.map(spendOf) }, options);
      return;
    case "transfer": {
      const to = items.map(({ account, ...item }) => ({ account: holderOf(account), ...item }));
      const from = holderOf(sender);
      await ledger.transfer({ reference, at, from, asset: ASSET, to }, options);
      return;
    }
    default:
      throw new Error(`an event of no kind: ${String(type satisfies never)}`);
  }
}

function grantOf({ account, amount, expiresAt }: ScenarioEvent["items"][number]): PostingInput {
  return { source: "world", destination: holderOf(account), asset: ASSET, amount, expiresAt };
}

function spendOf({ account, amount }: ScenarioEvent["items"][number]): PostingInput {
  return { source: holderOf(account), destination: "world", asset: ASSET, amount };
}
