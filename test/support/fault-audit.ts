import { expect } from "vitest";
import type { Acknowledged, CountingStore } from "./fault-store.ts";

/** One commit as it stands in the stream. */
export interface AuditedCommit extends Acknowledged {
  readonly position: number;
}

/**
 * Reads the whole stream and asserts what always holds: each actor's versions are dense from 1, no commit stands there
 * twice, and every acknowledged append stands there with the version that was reported.
 */
export async function auditStream(
  store: CountingStore,
  appends: readonly Acknowledged[],
): Promise<readonly AuditedCommit[]> {
  const stored: AuditedCommit[] = [];
  const versions = new Map<string, number>();
  for await (const commit of store.readCommits()) {
    const { id } = commit.actor;
    const before = versions.get(id) ?? 0;
    expect(commit.firstVersion, `actor ${id}, position ${commit.position}`).toBe(before + 1);
    expect(commit.version).toBe(before + commit.events.length);
    versions.set(id, commit.version);
    const { commitId, version, position } = commit;
    stored.push({ actor: id, commitId, version, position });
  }
  const places = new Map(stored.map((commit) => [keyOf(commit), commit]));
  expect(places.size, "a commit id stands twice at one actor").toBe(stored.length);
  const lost = appends.filter((append) => places.get(keyOf(append))?.version !== append.version);
  expect(lost, "acknowledged appends that are not stored as reported").toEqual([]);
  return stored;
}

function keyOf({ actor, commitId }: Acknowledged): string {
  return `${actor} ${commitId}`;
}
