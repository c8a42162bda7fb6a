import type { StoreInternals } from "../store/internals.ts";
import type { ActiveActor } from "./active-actor.ts";
import type { ActorMemory } from "./actor-memory.ts";
import type { Loader } from "./loader.ts";

/** Actors that are brought up to date at once. */
const AT_ONCE = 32;

/**
 * Where the store hears what others append, actors that lie idle in memory are brought up to date before they are asked.
 * It only saves time: what it misses, the next command finds.
 */
export class IdleRefresh {
  readonly #internals: StoreInternals;
  readonly #memory: ActorMemory;
  readonly #loader: Loader;
  readonly #waiting = new Set<ActiveActor>();
  readonly #refreshing = new Set<ActiveActor>();
  readonly #onHead: (subject: string) => void;
  #running = 0;

  constructor(internals: StoreInternals, memory: ActorMemory, loader: Loader) {
    this.#internals = internals;
    this.#memory = memory;
    this.#loader = loader;
    this.#onHead = (subject) => {
      const active = memory.peek(subject);
      if (active?.current === undefined) return;
      this.#waiting.add(active);
      if (this.#running < AT_ONCE && !this.#refreshing.has(active)) void this.#run();
    };
    internals.context.headListeners.add(this.#onHead);
  }

  close(): void {
    this.#internals.context.headListeners.delete(this.#onHead);
    this.#waiting.clear();
  }

  async #run(): Promise<void> {
    this.#running++;
    try {
      for (const active of this.#waiting) {
        // whoever refreshes it meets it again, behind all others, where it waits again
        if (this.#refreshing.has(active)) continue;
        this.#waiting.delete(active);
        this.#refreshing.add(active);
        await this.#refresh(active);
        this.#refreshing.delete(active);
      }
    } finally {
      this.#running--;
    }
  }

  /** Whether it is what was heard of it last: what was heard while it was read on may have been read. */
  #isCurrent({ subject, current }: ActiveActor): boolean {
    const head = this.#internals.context.cache.peek(subject);
    return head?.sequence === current?.position && head?.commitId === current?.commitId;
  }

  /** One that is busy sees for itself. */
  async #refresh(active: ActiveActor): Promise<void> {
    if (this.#isCurrent(active)) return;
    const { readTimeoutMs: timeoutMs } = this.#internals.context.limits;
    const deadline = performance.now() + timeoutMs;
    // it is no use of the actor: it stays as idle as it was
    const { usedAt } = active;
    if (active.isBusy || this.#memory.peek(active.subject) !== active) return;
    try {
      void this.#memory.enter(active, deadline, timeoutMs, undefined);
    } catch {
      return;
    }
    try {
      await this.#loader.catchUp(active, { timeoutMs, deadline });
    } catch {
      // whoever asks the actor next meets it again, and is told
    } finally {
      this.#memory.leave(active, usedAt);
    }
  }
}
