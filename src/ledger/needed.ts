import type { Asked, AskedPlace } from "./prepare.ts";
import { idOf, type LedgerState } from "./state.ts";

/** The ids of the entries that a command cannot be decided without, as far as the state tells. */
export function* neededBy(asked: Asked, state: LedgerState): Generator<string, void, undefined> {
  if (asked.kind === "batch") {
    for (const post of asked.posts) yield* neededBy(post, state);
    return;
  }
  const { key } = asked.options;
  if (key !== undefined) yield* ids(state.keys.find(state.fingerprints.of(key)));
  if ("reference" in asked && asked.reference !== undefined)
    yield* ids(state.references.find(state.fingerprints.of(asked.reference)));
  if (asked.kind === "revert") yield idOf(asked.target);
  if (asked.kind === "metadata" && typeof asked.of !== "string") yield idOf(asked.of);
}

function* ids(places: readonly AskedPlace[] | undefined): Generator<string, void, undefined> {
  for (const place of places ?? []) yield idOf(place);
}
