import { uniqueIds } from "../internal/unique-ids.ts";
import { Signal } from "../nats/signal.ts";
import type { StoreInternals } from "../store/internals.ts";
import type { ActiveActor } from "./active-actor.ts";

/** Times that a command loses in a row before a turn is asked for. */
const LOSSES = 2;
/** Who asked reads the actor's head and its tail, and publishes: so many times as long as the attempt before took. */
const ATTEMPTS = 3;
const MIN_TURN_MS = 5;
const MAX_TURN_MS = 500;

/**
 * What hosts ask of each other: a host that always has commands for an actor would win every race for it, because the
 * others read before they append. Who loses again and again asks for a turn, and the others hold their commands to that
 * actor back for a moment. Over core NATS, on `annal.turn.<stream>.actors`: where that is not allowed, races decide.
 */
export class TurnRequests {
  readonly #signal: Signal;
  readonly #host = uniqueIds()();

  /** @param find the actor with this subject, if it is in memory */
  constructor({ context }: StoreInternals, find: (subject: string) => ActiveActor | undefined) {
    const { connection, stream } = context;
    this.#signal = new Signal(connection, `annal.turn.${stream}.actors`, (text) => {
      const [host, turnMs, subject = ""] = text.split(" ");
      const active = host === this.#host ? undefined : find(subject);
      const grantedMs = Math.min(MAX_TURN_MS, Number(turnMs));
      if (active !== undefined && grantedMs > 0) active.yieldUntil = performance.now() + grantedMs;
    });
  }

  /** A command has lost so many races in a row; the last attempt took so long. */
  lost({ subject }: ActiveActor, losses: number, attemptMs: number): void {
    if (losses < LOSSES) return;
    const turnMs = Math.ceil(Math.max(MIN_TURN_MS, ATTEMPTS * attemptMs)) + losses;
    this.#signal.send(`${this.#host} ${turnMs} ${subject}`);
  }

  close(): void {
    this.#signal.close();
  }
}
