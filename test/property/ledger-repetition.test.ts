import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { commands, type Draft } from "../support/ledger-script.ts";
import { LedgerWorld, settings, type Step } from "../support/ledger-world.ts";
import type { NaiveCommand } from "../support/naive-commands.ts";

/** The same command, named by a key or by a reference, and guarded by nothing that changes with time. */
function named(command: NaiveCommand, name: string, by: "key" | "reference"): NaiveCommand {
  const idempotencyKey = by === "key" ? name : undefined;
  const options = { ...command.options, idempotencyKey, expect: undefined, dryRun: undefined };
  const reference = by === "reference" ? name : undefined;
  switch (command.does) {
    case "post":
      return { ...command, options, input: { ...command.input, reference } };
    case "grant":
      return { ...command, options, input: { ...command.input, reference } };
    case "spend":
      return { ...command, options, input: { ...command.input, reference } };
    case "transfer":
      return { ...command, options, input: { ...command.input, reference } };
    case "hold":
      return { ...command, options, input: { ...command.input, reference } };
    case "revert":
      return { ...command, options: { ...options, reference } };
    case "capture":
      return { ...command, options: { ...options, reference } };
    case "release":
      return { ...command, options: { ...options, idempotencyKey: name } };
    case "account":
      return { ...command, options: { ...options, idempotencyKey: name } };
    default:
      return { ...command, options: { ...options, idempotencyKey: name } };
  }
}

const who = fc.nat(1);
const by = fc.constantFrom("key" as const, "reference" as const);
/** Commands that are sent again and again, by either process, with others in between. */
const sendings = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ which: fc.nat(5), who, wait: fc.boolean() }) },
    {
      weight: 4,
      arbitrary: fc.oneof(
        fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(9) }),
        fc.record({ kind: fc.constantFrom("send" as const, "refresh" as const), who }),
        fc.record({ kind: fc.constant("land" as const), who, lost: fc.boolean() }),
        fc.record({ kind: fc.constant("crash" as const), who, image: fc.boolean() }),
      ),
    },
  ),
  { minLength: 10, maxLength: 60 },
);

describe("a command that is repeated", () => {
  it("L12 R8 has its effect once, and its first result for all who sent it", () => {
    let repeated = 0;
    fc.assert(
      fc.property(
        settings,
        fc.array(fc.tuple(commands, by), { minLength: 6, maxLength: 6 }),
        sendings,
        (given, drafts, sendings) => {
          const made = new Map<number, NaiveCommand>();
          const script = sendings.map((sending): Step => {
            if (!("which" in sending)) return sending;
            const { which, ...how } = sending;
            const draft: Draft = (now, ledger) => {
              const [draft, by] = drafts[which] ?? [];
              const command = made.get(which) ?? draft?.(now, ledger);
              if (command === undefined || by === undefined) throw new Error("no such command");
              const first = named(command, `name ${which}`, by);
              made.set(which, first);
              return first;
            };
            return { kind: "command", draft, ...how };
          });
          const { journal, results } = new LedgerWorld(given).play(script);
          const entries = [...journal.readOn(0)].flatMap((commit) => commit.entries);
          for (const which of made.keys()) {
            const name = `name ${which}`;
            const of = entries.filter(
              (entry) => entry.key === name || ("reference" in entry && entry.reference === name),
            );
            const done = results.get(name) ?? [];
            repeated += Math.max(0, done.length - 1);
            expect(of.length).toBeLessThanOrEqual(1);
            expect(new Set(done.map(({ version }) => version)).size).toBe(of.length);
            expect(done.filter(({ replayed }) => !replayed).length).toBe(of.length);
            expect(done.every(({ amounts }) => sameAmounts(amounts, done[0]?.amounts))).toBe(true);
          }
        },
      ),
      { numRuns: 200 },
    );
    expect(repeated).toBeGreaterThan(100);
  });
});

function sameAmounts(one: readonly bigint[], other: readonly bigint[] | undefined): boolean {
  return one.length === other?.length && one.every((amount, at) => amount === other[at]);
}
