import type { SourceCommit } from "../../src/projection/event-source.ts";
import {
  defineProjection,
  type Projection,
  table,
  type TableDefinition,
} from "../../src/projection/definition.ts";
import type { RecordedEvent } from "../../src/store/event.ts";

/** What a scripted event makes `apply` do, with ids of the one table `t`. */
export type Step =
  | readonly ["get", string]
  | readonly ["put", string, unknown]
  | readonly ["add", string, number]
  | readonly ["delete", string]
  | readonly ["deleteIfPresent", string]
  | readonly ["throw"];

/** An event that says itself what it declares, and what is to be done at it. */
type Scripted = {
  readonly type: "Scripted";
  readonly data: { readonly declares: readonly string[]; readonly steps: readonly Step[] };
};
export type Script = { readonly script: Scripted };
export type ScriptTables = { readonly t: TableDefinition };
export type ScriptEvent = RecordedEvent<Script>;
export type ScriptProjection = Projection<Script, ScriptTables>;

/** A projection that does what its events say; `reads` collects what it was told. */
export function scriptedProjection(reads: unknown[] = []): ScriptProjection {
  return defineProjection<Script>()({
    name: "scripted",
    version: 1,
    events: { script: "all" },
    tables: { t: table<unknown>() },
    keys: ({ data }, { t }) => data.declares.map((id) => t.key(id)),
    apply: ({ data }, { t }) => {
      for (const step of data.steps) {
        switch (step[0]) {
          case "get":
            reads.push(t.get(step[1]));
            break;
          case "put":
            t.put(step[1], step[2]);
            break;
          case "add":
            t.put(step[1], Number(t.get(step[1]) ?? 0) + step[2]);
            break;
          case "delete":
            t.delete(step[1]);
            break;
          case "deleteIfPresent":
            reads.push(t.deleteIfPresent(step[1]));
            break;
          case "throw":
            throw new Error("as the script says");
        }
      }
    },
  });
}

/** An event at a place of the stream. */
export function scriptedEvent(
  steps: readonly Step[],
  declares: readonly string[] = idsOf(steps),
  { position = 1, index = 0 }: { readonly position?: number; readonly index?: number } = {},
): ScriptEvent {
  const commitId = `c${position}`;
  return {
    actor: { type: "script", id: "s" },
    actorType: "script",
    type: "Scripted",
    data: { declares, steps },
    version: position,
    position,
    index,
    id: `${commitId}:${index}`,
    commitId,
    recordedAt: new Date(position),
    metadata: {},
    cursor: `${position}.${index + 1}.${commitId}`,
  };
}

/** A commit; `total` counts its events that are not selected too, `index` says where the selected ones stand. */
export function scriptedCommit(
  position: number,
  scripts: readonly (readonly Step[])[],
  { total = scripts.length, first = 0 }: { readonly total?: number; readonly first?: number } = {},
): SourceCommit {
  return {
    position,
    commitId: `c${position}`,
    total,
    recordedAtMs: position,
    events: scripts.map((steps, at) =>
      scriptedEvent(steps, idsOf(steps), { position, index: first + at }),
    ),
  };
}

function idsOf(steps: readonly Step[]): string[] {
  return steps.flatMap((step) => (step[0] === "throw" || step[0] === "put" ? [] : [step[1]]));
}
