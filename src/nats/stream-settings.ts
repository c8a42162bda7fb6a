/**
 * Which settings a stream may have so that it neither loses, hides nor changes events: an allow-list over every field
 * of the server's StreamConfig (ADR-8 ff. of NATS, stream.go of nats-server 2.15). A field that is not listed, from a
 * newer server, must stand at its default.
 */

/** A setting that is not as it must be. */
export interface SettingsProblem {
  readonly setting: string;
  readonly expected: string;
  readonly found: string;
}

/** What the store asks of its stream. */
export interface AskedSettings {
  /** The stream must take `<prefix>.>`. */
  readonly prefix: string;
  /** Replicas at least; undefined = as it is. */
  readonly replicas?: number | undefined;
}

interface Rule {
  readonly expected: string;
  readonly holds: (found: unknown, asked: AskedSettings) => boolean;
}

const anything: Rule = { expected: "anything", holds: () => true };
const yes: Rule = { expected: "true", holds: (found) => found === true };
const no: Rule = { expected: "false", holds: isDefault };
const none: Rule = { expected: "absent", holds: isDefault };
const unlimited: Rule = {
  expected: "unlimited",
  holds: (found) => isDefault(found) || (typeof found === "number" && found <= 0),
};

/** Shortest inactivity that the feeds' consumers ask for. */
const leastInactiveThresholdMs = 30_000;

const rules: Readonly<Record<string, Rule>> = {
  // Loses or hides events.
  storage: equal("file"),
  retention: equal("limits"),
  discard: equal("new"),
  discard_new_per_subject: no,
  max_age: unlimited,
  max_msgs: unlimited,
  max_msgs_per_subject: unlimited,
  deny_delete: yes,
  allow_rollup_hdrs: no,
  allow_msg_ttl: no,
  subject_delete_marker_ttl: none,
  no_ack: no,
  sealed: no,
  persist_mode: { expected: "default", holds: (found) => isDefault(found) || found === "default" },
  subjects: {
    expected: "<prefix>.> or wider",
    holds: (found, { prefix }) => subjectsOf(found).some((subject) => covers(subject, prefix)),
  },
  // Changes events, or brings in what no append checked.
  mirror: none,
  mirror_direct: no,
  sources: none,
  subject_transform: none,
  allow_msg_counter: no,
  allow_msg_schedules: no,
  allow_batched: no,
  template_owner: none,
  republish: {
    expected: "absent, or to a destination outside of <prefix>",
    holds: (found, { prefix }) => isDefault(found) || !destinationMeets(found, prefix),
  },
  // What the store works with.
  allow_direct: yes,
  allow_atomic: yes,
  compression: { expected: "none", holds: (found) => isDefault(found) || found === "none" },
  num_replicas: {
    expected: "<replicas> or more",
    holds: (found, { replicas = 1 }) => typeof found === "number" && found >= replicas,
  },
  consumer_limits: {
    expected: `without an inactive_threshold below ${leastInactiveThresholdMs / 1_000} s`,
    holds: (found) => {
      const threshold = at(found, "inactive_threshold");
      return isDefault(threshold) || Number(threshold) >= leastInactiveThresholdMs * 1_000_000;
    },
  },
  // Harmless: with discard "new" a limit refuses appends instead of dropping events.
  name: anything,
  description: anything,
  metadata: anything,
  placement: anything,
  max_bytes: anything,
  max_msg_size: anything,
  max_consumers: anything,
  duplicate_window: anything,
  first_seq: anything,
  deny_purge: anything,
};

const atItsDefault: Rule = {
  expected: "at its default (it is unknown to this version of Annal)",
  holds: isDefault,
};

/**
 * Everything in a stream's settings, as the server returned them, that could lose, hide or change events.
 *
 * @returns empty where the stream can hold events safely
 */
export function findSettingsProblems(
  settings: Readonly<Record<string, unknown>>,
  asked: AskedSettings,
): SettingsProblem[] {
  const names = new Set([...Object.keys(rules), ...Object.keys(settings)]);
  const problems: SettingsProblem[] = [];
  for (const setting of names) {
    const rule = (Object.hasOwn(rules, setting) ? rules[setting] : undefined) ?? atItsDefault;
    const found = settings[setting];
    if (rule.holds(found, asked)) continue;
    const expected = rule.expected
      .replace("<prefix>", asked.prefix)
      .replace("<replicas>", String(asked.replicas ?? 1));
    problems.push({ setting, expected, found: JSON.stringify(found) ?? "absent" });
  }
  return problems;
}

function equal(value: string): Rule {
  return { expected: `"${value}"`, holds: (found) => found === value };
}

function isDefault(found: unknown): boolean {
  if (found === undefined || found === null || found === false) return true;
  if (found === 0 || found === "") return true;
  return typeof found === "object" && Object.keys(found).length === 0;
}

function at(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

function subjectsOf(found: unknown): string[] {
  return Array.isArray(found) ? found.filter((subject) => typeof subject === "string") : [];
}

/** Whether a pattern takes every subject that `<prefix>.>` takes. */
function covers(pattern: string, prefix: string): boolean {
  const tokens = pattern.split(".");
  if (tokens.pop() !== ">") return false;
  const wanted = prefix.split(".");
  if (tokens.length > wanted.length) return false;
  return tokens.every((token, index) => token === "*" || token === wanted[index]);
}

/** Whether a republish destination could lie in `<prefix>.>`: compares token by token as far as both go. */
function destinationMeets(republish: unknown, prefix: string): boolean {
  const destination = at(republish, "dest");
  if (typeof destination !== "string") return true;
  const wanted = prefix.split(".");
  for (const [index, token] of destination.split(".").entries()) {
    const other = wanted[index];
    if (other === undefined || token === ">") return true;
    if (token !== other && token !== "*" && !/^\{\{.*\}\}$/.test(token)) return false;
  }
  return false;
}
