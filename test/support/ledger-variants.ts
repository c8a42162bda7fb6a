import type { NaiveCommand } from "./naive-commands.ts";

/** A command that differs from another one in one thing, or says what goes without saying; the same without a pick. */
export function varied(command: NaiveCommand, pick: number | undefined): NaiveCommand {
  const variants = [...variantsOf(command)];
  return (pick === undefined ? undefined : variants[pick % variants.length]) ?? command;
}

/** All its variants. The first ones ask for the same. */
function* variantsOf(command: NaiveCommand): Generator<NaiveCommand, void, undefined> {
  switch (command.does) {
    case "post":
    case "grant":
    case "spend":
    case "transfer":
      yield* transfersLike(command);
      break;
    case "hold": {
      const { input } = command;
      yield { ...command, input: { ...input, to: input.to ?? "world" } };
      yield { ...command, input: { ...input, at: next(input.at) } };
      yield { ...command, input: { ...input, amount: input.amount + 1n } };
      yield { ...command, input: { ...input, expiresAt: next(input.expiresAt) } };
      yield { ...command, input: { ...input, metadata: { other: true } } };
      break;
    }
    case "capture": {
      const { options, amount } = command;
      const { final = true, expiresAt = null } = options;
      yield { ...command, options: { ...options, final, expiresAt } };
      yield { ...command, options: { ...options, final: !final } };
      yield { ...command, options: { ...options, at: next(options.at) } };
      yield { ...command, options: { ...options, expiresAt: next(expiresAt ?? undefined) } };
      yield { ...command, options: { ...options, to: options.to === "b" ? "a" : "b" } };
      yield { ...command, amount: (amount ?? 0n) + 1n };
      break;
    }
    case "revert": {
      const { options, target } = command;
      const { force = false, atEffectiveDate = false } = options;
      yield { ...command, options: { ...options, force, atEffectiveDate } };
      yield { ...command, options: { ...options, force: !force } };
      yield { ...command, options: { ...options, atEffectiveDate: !atEffectiveDate } };
      yield { ...command, options: { ...options, metadata: { other: true } } };
      // not the next one: what is not acknowledged yet has no id that anybody could know
      yield { ...command, target: target + 1_000 };
      break;
    }
    case "release":
      yield { ...command, hold: command.hold + 1_000 };
      break;
    case "account":
      yield { ...command, change: { ...command.change, frozen: command.change.frozen !== true } };
      break;
    default:
      yield { ...command, set: { ...command.set }, deleted: [...command.deleted] };
      yield { ...command, set: { x: 1, y: 2 }, deleted: [] };
      yield { ...command, of: command.of === "a" ? "b" : "a" };
  }
}

type Transfer = Extract<NaiveCommand, { readonly does: "post" | "grant" | "spend" | "transfer" }>;

function* transfersLike(command: Transfer): Generator<NaiveCommand, void, undefined> {
  const { options } = command;
  const { onShortfall = "reject" } = options;
  yield { ...command, options: { ...options, onShortfall } };
  const other = onShortfall === "reject" ? "partial" : "reject";
  yield { ...command, options: { ...options, onShortfall: other } };
  if (command.does === "post") {
    const { input } = command;
    const [first, ...rest] = input.postings;
    yield { ...command, input: { ...input, at: next(input.at) } };
    yield { ...command, input: { ...input, metadata: { other: true } } };
    if (first === undefined) return;
    const { expiresAt } = first;
    const dearer = { ...first, amount: first.amount + 1n };
    const later = { ...first, expiresAt: next(expiresAt ?? undefined) };
    yield { ...command, input: { ...input, postings: [dearer, ...rest] } };
    yield { ...command, input: { ...input, postings: [later, ...rest] } };
    yield { ...command, input: { ...input, postings: [...rest, first] } };
  } else if (command.does === "transfer") {
    const { input } = command;
    yield { ...command, input: { ...input, at: next(input.at) } };
    yield { ...command, input: { ...input, to: [...input.to].reverse() } };
  } else if (command.does === "grant") {
    const { input } = command;
    yield { ...command, input: { ...input, from: input.from ?? "world" } };
    yield { ...command, input: { ...input, amount: input.amount + 1n } };
    yield { ...command, input: { ...input, reference: `${input.reference ?? ""}!` } };
  } else {
    const { input } = command;
    yield { ...command, input: { ...input, to: input.to ?? "world" } };
    yield { ...command, input: { ...input, at: next(input.at) } };
    yield { ...command, input: { ...input, asset: input.asset === "GOLD" ? "EUR/2" : "GOLD" } };
  }
}

/** A millisecond later; some instant instead of none. */
function next(instant: Date | undefined): Date {
  return new Date((instant?.getTime() ?? 1_000) + 1);
}
