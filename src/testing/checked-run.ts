import { AssertionError } from "node:assert";
import type { SnapshotPolicy } from "../actor/definition.ts";
import { attempt } from "../internal/attempt.ts";
import { decodeValue, encodeValue } from "../projection/value-codec.ts";
import type { AnyEvent } from "../store/event.ts";
import { type DeciderRun, runDecider, type Scene } from "./decider-run.ts";
import { type Difference, firstDifference } from "./difference.ts";
import { toError } from "./expected-error.ts";

/**
 * A run of the decider that another run equals, and whose states survive a snapshot where the actor has them. The runs
 * are on both sides of a clock's tick, so that who asks a clock is found out.
 *
 * @throws {AssertionError} decide or evolve is not pure; a state does not survive
 */
export function checkedRun<State, Command, Event extends AnyEvent>(
  scene: Scene<State, Command, Event>,
): DeciderRun<State, Event> {
  const first = runDecider(scene);
  letTheClockTick();
  const second = runDecider(scene);
  const { type, snapshot } = scene.kind;
  const change = first.defect ?? second.defect;
  if (change !== undefined) {
    const { by, cause } = change;
    const reason = `${by} is not pure: it changes in place what it is handed: ${cause.message}`;
    throw defect(type, reason, cause);
  }
  const difference = impurity(first, second);
  if (difference !== undefined) throw defect(type, difference);
  if (snapshot !== undefined)
    for (const state of first.states) assertSurvives(type, state, snapshot);
  return first;
}

/** How two runs differ. */
function impurity<State, Event extends AnyEvent>(
  first: DeciderRun<State, Event>,
  second: DeciderRun<State, Event>,
): string | undefined {
  const before = firstDifference(first.states[0], second.states[0], "state");
  if (before !== undefined) return between("evolve", before);
  if (failureOf(first) !== failureOf(second)) {
    return between("decide or evolve", { path: "ends", a: failureOf(first), b: failureOf(second) });
  }
  const decided = firstDifference(first.decision, second.decision, "decision");
  if (decided !== undefined) return between("decide", decided);
  const after = firstDifference(first.states[1], second.states[1], "state");
  return after === undefined ? undefined : between("evolve", after);
}

function between(what: string, { path, a, b }: Difference): string {
  return `${what} is not pure: two runs on the same input differ; ${path}: first ${a}, then ${b}`;
}

function failureOf({ failure }: DeciderRun<unknown, AnyEvent>): string {
  return failure === undefined
    ? "with a decision"
    : `with ${failure.constructor.name}: ${failure.message}`;
}

function assertSurvives<State>(type: string, state: State, policy: SnapshotPolicy<State>): void {
  const result = attempt(() => {
    const data = policy.encode === undefined ? state : policy.encode(state);
    const stored = decodeValue(encodeValue(data, "msgpack"), "msgpack");
    return policy.decode === undefined ? stored : policy.decode(stored);
  });
  const reason = "the state does not survive its snapshot";
  if ("error" in result) {
    const cause = toError(result.error);
    throw defect(type, `${reason}: ${cause.message}`, cause);
  }
  const difference = firstDifference(state, result.value, "state");
  if (difference === undefined) return;
  const { path, a, b } = difference;
  throw new AssertionError({
    message: `actor type ${type}: ${reason}; ${path}: ${a} before, ${b} after`,
    expected: state,
    actual: result.value,
    operator: "snapshot",
  });
}

function defect(type: string, reason: string, cause?: Error): AssertionError {
  const error = new AssertionError({ message: `actor type ${type}: ${reason}` });
  if (cause !== undefined) error.cause = cause;
  return error;
}

/** A millisecond and a little; timers that a test has replaced do not matter. */
function letTheClockTick(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1.1);
}
