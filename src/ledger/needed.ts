import { Slots } from "../internal/slots.ts";
import type { Command } from "./command.ts";
import { entryOf, type Journal } from "./journal.ts";
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

/** Commits that are fetched at once. */
const MAX_FETCHES = 16;

/** Who needs which entries of one commit. */
type Wanted = Map<string, { readonly index: number; readonly by: Set<Command> }>;

/**
 * Reads what commands need of the journal: each commit once, however many entries of it are needed.
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
  const slots = new Slots(MAX_FETCHES);
  const fetched = Array.from(wantedOf(commands, first, state), async ([position, wanted]) => {
    await slots.take();
    try {
      const commit = await journal.recentCommitAt(position, timeoutMs, state.point);
      for (const [id, { index, by }] of wanted) {
        const found = commit === undefined ? undefined : entryOf(commit, index);
        for (const command of by) command.found(id, found);
      }
    } catch (error) {
      for (const { by } of wanted.values()) for (const command of by) command.refusal = { error };
    } finally {
      slots.release();
    }
  });
  await Promise.all(fetched);
}

/** What must be read, by the position of its commit. */
function wantedOf(
  commands: readonly Command[],
  first: string,
  state: LedgerState,
): ReadonlyMap<number, Wanted> {
  const positions = new Map<number, Wanted>();
  const want = (id: string, command: Command): void => {
    const { position, index } = preparePlace("id", id);
    let wanted = positions.get(position);
    if (wanted === undefined) positions.set(position, (wanted = new Map()));
    let entry = wanted.get(id);
    if (entry === undefined) wanted.set(id, (entry = { index, by: new Set() }));
    entry.by.add(command);
  };
  for (const [at, command] of commands.entries()) {
    if (at === 0) want(first, command);
    for (const id of neededBy(command.asked, state))
      if (!command.lookups.has(id)) want(id, command);
  }
  return positions;
}

function* ids(places: readonly AskedPlace[] | undefined): Generator<string, void, undefined> {
  for (const place of places ?? []) yield idOf(place);
}
