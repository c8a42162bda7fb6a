import { onTestFinished } from "vitest";
import { EventStore } from "../../../src/index.ts";
import {
  kvState,
  type Projection,
  type Projector,
  type ProjectorOptions,
  startProjector,
} from "../../../src/projection/index.ts";
import type { Script, ScriptTables } from "../../support/projector-sums.ts";
import { freshStream, natsUrl } from "../../support/server.ts";

export {
  appendSteps,
  fold,
  randomSteps,
  type Script,
  type ScriptTables,
  type Step,
  sums,
} from "../../support/projector-sums.ts";

export async function openScripts(
  setup: { url?: string; stream?: string } = {},
): Promise<EventStore<Script>> {
  const { url = natsUrl(), stream = freshStream() } = setup;
  const store = await EventStore.connect<Script>({ servers: url, stream });
  onTestFinished(() => store.close());
  return store;
}

/** A projector that closes when the test is over. */
export async function start(
  store: EventStore<Script>,
  projection: Projection<Script, ScriptTables>,
  options: ProjectorOptions,
): Promise<Projector<Script, ScriptTables>> {
  const projector = await startProjector(store, projection, options);
  onTestFinished(() => projector.close());
  return projector;
}

/** The state as plain objects, to compare with {@link fold}. */
export async function stateOf(
  projector: Pick<Projector<Script, ScriptTables>, "tables">,
): Promise<Record<string, unknown>> {
  const sum: Record<string, unknown> = {};
  const moves: Record<string, unknown> = {};
  for await (const { id, value } of projector.tables.sum.entries()) sum[id] = value;
  for await (const { id, value } of projector.tables.moves.entries()) moves[id] = value;
  return { sum, moves };
}

/** A bucket name that no other test uses. */
export function freshBucket(): string {
  return freshStream("state");
}

export { kvState };
