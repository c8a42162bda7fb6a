import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../../src/errors.ts";
import { defineProjection, keyTables, table } from "../../../src/projection/definition.ts";

type Bank = {
  account: { type: "Deposited"; data: { amount: bigint } } | { type: "Closed" };
  order: { type: "Placed"; data: { items: string[] } };
};

const good = {
  name: "balances",
  version: 1,
  events: { account: ["Deposited"] },
  tables: { balance: table<bigint>() },
  apply: () => {},
} as const;

/** What only plain JavaScript lets through. */
function untyped<T>(value: unknown): T {
  return value as T;
}

function define(changes: object): unknown {
  return defineProjection<Bank>()({ ...good, ...changes });
}

describe("defineProjection", () => {
  it("gives name, version, tables, and the selection by actor type", () => {
    const projection = defineProjection<Bank>()({
      ...good,
      version: 3,
      events: { account: ["Deposited", "Closed"], order: "all" },
    });
    const { name, version, tables, policies, selection } = projection;
    expect({ name, version, tables, policies }).toEqual({
      name: "balances",
      version: 3,
      tables: good.tables,
      policies: {},
    });
    expect([...selection]).toEqual([
      ["account", new Set(["Deposited", "Closed"])],
      ["order", undefined],
    ]);
  });

  it("declares no keys where there is no function for them", () => {
    const projection = defineProjection<Bank>()(good);
    expect(projection.keys(untyped({}), untyped({}))).toEqual([]);
  });

  it("keeps its own copy of the policies", () => {
    const policies: Record<string, number> = { rounding: 2 };
    const projection = defineProjection<Bank>()({ ...good, policies });
    policies["rounding"] = 3;
    expect(projection.policies).toEqual({ rounding: 2 });
  });

  const bad: readonly (readonly [part: string, changes: object])[] = [
    ["name", { name: "" }],
    ["name", { name: "1st" }],
    ["name", { name: "a.b" }],
    ["name", { name: "a\n" }],
    ["name", { name: "a".repeat(65) }],
    ["name", { name: undefined }],
    ["version", { version: 0 }],
    ["version", { version: 1.5 }],
    ["version", { version: "1" }],
    ["tables", { tables: {} }],
    ["tables", { tables: undefined }],
    ["tables", { tables: null }],
    ["tables._own", { tables: { _own: table() } }],
    ["tables.a.b", { tables: { "a.b": table() } }],
    ["policies.lots", { policies: { lots: 0 } }],
    ["events", { events: {} }],
    ["events", { events: undefined }],
    ["events.a.b", { events: { "a.b": "all" } }],
    ["events.account", { events: { account: [] } }],
    ["events.account", { events: { account: "Deposited" } }],
    ["events.account", { events: { account: ["Deposited", 5] } }],
    ["events.account", { events: { account: [""] } }],
    ["events.account", { events: { account: undefined } }],
    ["keys", { keys: [] }],
    ["apply", { apply: undefined }],
  ];
  it.each(bad)("refuses a wrong %s: %o", (part, changes) => {
    const attempt = (): unknown => define(changes);
    expect(attempt).toThrow(InvalidArgumentError);
    expect(attempt).toThrow(part);
  });
});

describe("keyTables", () => {
  it("names the keys of each table", () => {
    const { balance, toString: other } = keyTables({
      balance: table<bigint>(),
      toString: table<string>(),
    });
    expect([balance.key("a.b"), other.key("x")]).toEqual(["balance.a.b", "toString.x"]);
  });
});
