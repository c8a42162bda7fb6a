import { describe, expect, it } from "vitest";
import { findSettingsProblems } from "../../../src/nats/stream-settings.ts";

const sound = {
  name: "BANK",
  subjects: ["bank.>"],
  retention: "limits",
  storage: "file",
  discard: "new",
  max_consumers: -1,
  max_msgs: -1,
  max_bytes: -1,
  max_age: 0,
  max_msgs_per_subject: -1,
  max_msg_size: -1,
  num_replicas: 1,
  duplicate_window: 120_000_000_000,
  compression: "none",
  allow_direct: true,
  mirror_direct: false,
  sealed: false,
  deny_delete: true,
  deny_purge: false,
  allow_rollup_hdrs: false,
  consumer_limits: {},
  allow_msg_ttl: false,
  allow_atomic: true,
  metadata: { "_nats.level": "5" },
};
const asked = { prefix: "bank" };

function settingsRefused(changes: Readonly<Record<string, unknown>>): string[] {
  return findSettingsProblems({ ...sound, ...changes }, asked).map(({ setting }) => setting);
}

describe("findSettingsProblems", () => {
  it("finds nothing wrong with the settings of a stream that Annal created", () => {
    expect(findSettingsProblems(sound, asked)).toEqual([]);
  });

  it.each([
    ["a limit in bytes", { max_bytes: 1_000_000 }],
    ["a limit of a message's size", { max_msg_size: 4_096 }],
    ["a description, metadata and a placement", { description: "x", placement: { tags: ["a"] } }],
    ["a later first sequence", { first_seq: 1_000 }],
    ["denied purges", { deny_purge: true }],
    ["a republish elsewhere", { republish: { src: "bank.>", dest: "feed.bank.>" } }],
    ["more replicas than asked for", { num_replicas: 3 }],
    ["wider subjects", { subjects: ["other", "*.>"] }],
    ["an unknown field at its default", { some_new_field: false, another: {}, third: [] }],
    ["the default way to persist", { persist_mode: "default" }],
  ])("accepts %s", (_, changes) => {
    expect(settingsRefused(changes)).toEqual([]);
  });

  it.each([
    ["storage", { storage: "memory" }],
    ["sealed", { sealed: true }],
    ["mirror", { mirror: { name: "OTHER" } }],
    ["sources", { sources: [{ name: "OTHER" }] }],
    ["template_owner", { template_owner: "someone" }],
    ["republish", { republish: { src: "bank.>", dest: "bank.copy.>" } }],
    ["republish", { republish: { src: "bank.>", dest: "{{wildcard(1)}}.>" } }],
    ["consumer_limits", { consumer_limits: { inactive_threshold: 1_000_000_000 } }],
    ["some_new_field", { some_new_field: true }],
    ["constructor", { constructor: "odd" }],
    ["subjects", { subjects: ["bank.*"] }],
    ["subjects", { subjects: ["bank.account.>"] }],
    ["subjects", { subjects: ["bank"] }],
    ["allow_direct", { allow_direct: undefined }],
  ])("refuses %s of %j", (setting, changes) => {
    expect(settingsRefused(changes)).toEqual([setting]);
  });

  it("lists every offending setting with what was expected and what was found", () => {
    const problems = findSettingsProblems(
      { ...sound, storage: "memory", subjects: ["bank.*"] },
      { prefix: "bank", replicas: 3 },
    );
    expect(problems).toEqual([
      { setting: "storage", expected: '"file"', found: '"memory"' },
      { setting: "subjects", expected: "bank.> or wider", found: '["bank.*"]' },
      { setting: "num_replicas", expected: "3 or more", found: "1" },
    ]);
  });
});
