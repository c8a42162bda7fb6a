import type { Command } from "./command.ts";
import type { Journal } from "./journal.ts";
import { type Asked, type AskedPlace, preparePlace } from "./prepare.ts";
import { idOf, type LedgerState } from "./state.ts";

/** The ids of the entries that a command cannot be decided without, as far as the state tells. */
function* neededBy(asked: Asked, state: LedgerState): Generator<string, void, undefined> {
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

/**
 * Reads what commands need of the journal, all at once.
 *
 * @param first what the first of them needs besides
 */
export async function lookAhead(
  commands: readonly Command[],
  first: string,
  state: LedgerState,
  journal: Journal,
  timeoutMs: number,
): Promise<void> {
  const wanted = new Map<string, Set<Command>>([[first, new Set(commands.slice(0, 1))]]);
  for (const command of commands) {
    for (const id of neededBy(command.asked, state)) {
      if (command.lookups.has(id)) continue;
      const others = wanted.get(id);
      if (others === undefined) wanted.set(id, new Set([command]));
      else others.add(command);
    }
  }
  await Promise.all(
    Array.from(wanted, async ([id, by]) => {
      try {
        const entry = await journal.entryAt(preparePlace("id", id), timeoutMs, state.point);
        for (const command of by) command.found(id, entry);
      } catch (error) {
        for (const command of by) command.refusal = { error };
      }
    }),
  );
}

function* ids(places: readonly AskedPlace[] | undefined): Generator<string, void, undefined> {
  for (const place of places ?? []) yield idOf(place);
}
