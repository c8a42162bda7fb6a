import { AssertionError } from "node:assert";
import { describe, expect, it } from "vitest";
import { InvalidArgumentError, UnserialisableValueError } from "../../../src/errors.ts";
import { ProjectionFailedError, StateKeyMissingError } from "../../../src/projection/errors.ts";
import { given } from "../../../src/testing/index.ts";
import { failureOf } from "../../support/work-unit-stage.ts";
import { alice, balances, bob, deposited, withdrawn } from "./bank.ts";

const closed = { actor: alice, type: "Closed" } as const;

describe("given, when, then", () => {
  const scene = given(balances, [deposited(10n)]).when([withdrawn(3n), deposited(5n, bob)]);

  it("passes where the entries are as expected, whatever else there is", () => {
    scene.then({ balance: { alice: 7n } });
    scene.then({ balance: { alice: 7n, bob: 5n, carol: undefined }, last: {} });
    scene.then({ last: { alice: { position: 2, at: new Date("2000-01-01T00:00:02Z") } } });
    expect(() => scene.then({})).not.toThrow();
  });

  it("names each entry that is not: table, key, expected and found value", () => {
    const failure = failureOf(() =>
      scene.then({
        balance: { alice: 8n, bob: undefined, carol: 1n },
        last: { alice: { at: new Date(0), position: 2 } },
      }),
    );
    expect(failure).toBeInstanceOf(AssertionError);
    expect(failure).toHaveProperty(
      "message",
      [
        'table balance, key "alice": expected 8n, found 7n',
        'table balance, key "bob": expected no entry, found 5n',
        'table balance, key "carol": expected 1n, found no entry',
        'table last, key "alice": expected { at: 1970-01-01T00:00:00.000Z, position: 2 }, ' +
          "found { at: 2000-01-01T00:00:02.000Z, position: 2 }",
      ].join("\n"),
    );
    expect(failure).toMatchObject({
      expected: [8n, undefined, 1n, {}],
      actual: [7n, 5n, undefined, {}],
    });
  });

  it("begins with nothing, and may end with nothing new", () => {
    given(balances, [])
      .when([])
      .then({ balance: { alice: undefined } });
    expect(() =>
      given(balances, [])
        .when([])
        .then({ balance: { alice: 0n } }),
    ).toThrow(/expected 0n, found no entry/);
  });

  it("refuses a table that the projection does not have", () => {
    // @ts-expect-error no such table
    expect(() => scene.then({ balances: {} })).toThrow(InvalidArgumentError);
    // @ts-expect-error no such table
    expect(() => scene.then({ toString: {} })).toThrow(/balance, last/);
  });

  it("refuses an expected value that no state can hold", () => {
    expect(() => scene.then({ balance: { alice: expect.anything() } })).toThrow(
      UnserialisableValueError,
    );
  });

  it("refuses events that could not be appended at once", () => {
    const bad = { ...closed, actor: { ...alice, id: "" } };
    expect(() => given(balances, [bad])).toThrow(InvalidArgumentError);
    expect(() => given(balances, []).when([bad])).toThrow(InvalidArgumentError);
  });

  it("says so when it is awaited", async () => {
    const awaited = Promise.resolve<unknown>(scene);
    await expect(awaited).rejects.toThrow(/no await/);
  });

  it("throws what the projection fails with", () => {
    const failing = given(balances, [deposited(1n)]).when([withdrawn(2n)]);
    expect(() => failing.then({})).toThrow(ProjectionFailedError);
  });
});

describe("given, when, thenFails", () => {
  const scene = given(balances, [deposited(1n)]).when([withdrawn(2n)]);

  it("passes where the projection fails so, by the error itself or by its cause", () => {
    const failure = scene.thenFails(ProjectionFailedError);
    expect(failure).toMatchObject({ event: { position: 2, type: "Withdrawn" } });
    expect(scene.thenFails(RangeError)).toBeInstanceOf(ProjectionFailedError);
    scene.thenFails(/overdrawn/);
    given(balances, []).when([closed]).thenFails(StateKeyMissingError);
  });

  it("says what happened where it does not fail", () => {
    const passing = given(balances, [deposited(1n)]).when([closed]);
    const failure = failureOf(() => passing.thenFails(/overdrawn/));
    expect(failure).toBeInstanceOf(AssertionError);
    expect(failure).toHaveProperty(
      "message",
      "expected projection balances to fail with /overdrawn/, but it did not fail",
    );
  });

  it("says what happened where it fails otherwise", () => {
    expect(() => scene.thenFails(StateKeyMissingError)).toThrow(
      /fail with StateKeyMissingError, but it failed with .*alice is overdrawn/,
    );
    expect(() => scene.thenFails(/other/)).toThrow(AssertionError);
  });
});
