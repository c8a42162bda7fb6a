import { type ClockOffset, clockOffset } from "../nats/server-clock.ts";
import type { EventStore } from "../store/event-store.ts";
import { internalsOf } from "../store/internals.ts";
import { ClockSkewError } from "./errors.ts";

/** How often the clock is compared with the server's. */
const COMPARED_MS = 10_000;

const CLOCKS = new WeakMap<EventStore, TrustedClock[]>();

/**
 * The clock of this process, as long as it is near enough to the server's: what has expired is decided by it, and two
 * processes that disagree by much would spend what the other one holds.
 */
export class TrustedClock {
  readonly #now: () => number;
  readonly #maxSkewMs: number;
  readonly #compare: () => Promise<ClockOffset>;
  /** The clock less the server's, as it was compared last. */
  #skewMs = 0;
  /** The clock less the time that this process has run, then. */
  #origin = 0;
  #timer: NodeJS.Timeout | undefined;
  #started: Promise<void> | undefined;
  /** Those who have started it and not stopped it. */
  #users = 0;

  private constructor(store: EventStore, now: () => number, maxSkewMs: number) {
    const { connection, stream, apiPrefix, limits } = internalsOf(store).context;
    this.#now = now;
    this.#maxSkewMs = maxSkewMs;
    const access = { apiPrefix, timeoutMs: limits.readTimeoutMs };
    this.#compare = () => clockOffset(connection.nc, stream, access, now);
  }

  /** The one that all ledgers of a store share, if they go by the same clock. */
  static of(store: EventStore, now: () => number, maxSkewMs: number): TrustedClock {
    const clocks = CLOCKS.get(store) ?? [];
    CLOCKS.set(store, clocks);
    const known = clocks.find((clock) => clock.#now === now && clock.#maxSkewMs === maxSkewMs);
    if (known !== undefined) return known;
    const clock = new TrustedClock(store, now, maxSkewMs);
    clocks.push(clock);
    return clock;
  }

  /** Compares the clock with the server's, now and from time to time, until each who has started it has stopped it. */
  async start(): Promise<void> {
    this.#users++;
    if (this.#users === 1) {
      this.#started = this.#look();
      this.#timer = setInterval(() => void this.#look().catch(() => {}), COMPARED_MS);
      this.#timer.unref();
    }
    try {
      await this.#started;
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** @throws {ClockSkewError} */
  readonly read = (): number => {
    const now = this.#now();
    // a clock that was set since then is off by as much more
    const skewMs = this.#skewMs + (now - performance.now() - this.#origin);
    if (Math.abs(skewMs) > this.#maxSkewMs) throw new ClockSkewError(skewMs, this.#maxSkewMs);
    return now;
  };

  stop(): void {
    this.#users--;
    if (this.#users === 0) clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { offsetMs, uncertaintyMs } = await this.#compare();
    // only what is beyond doubt counts
    const sure = Math.max(0, Math.abs(offsetMs) - uncertaintyMs);
    this.#skewMs = Math.sign(offsetMs) * sure;
    this.#origin = this.#now() - performance.now();
  }
}
