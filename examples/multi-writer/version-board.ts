/**
 * What a writer has seen of each actor's version on the stream, and who waits for one. Fed by a subscription, so that
 * waiting for another process costs nothing.
 */
export class VersionBoard {
  readonly #versions = new Map<string, number>();
  readonly #waiting = new Map<string, Waiter[]>();

  /** An event of the actor was seen. */
  saw(actorId: string, version: number): void {
    if (version <= (this.#versions.get(actorId) ?? 0)) return;
    this.#versions.set(actorId, version);
    for (const waiter of this.#waiting.get(actorId) ?? []) {
      if (waiter.version <= version) waiter.wake();
    }
  }

  /** Resolves when the actor has reached the version, or after a while: whoever waited asks the server anyway. */
  async reached(actorId: string, version: number, atMostMs: number): Promise<void> {
    if ((this.#versions.get(actorId) ?? 0) >= version) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, atMostMs);
      const wake = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const waiters = this.#waiting.get(actorId);
      if (waiters === undefined) this.#waiting.set(actorId, [{ version, wake }]);
      else waiters.push({ version, wake });
    });
    const left = this.#waiting.get(actorId)?.filter((waiter) => waiter.version > version) ?? [];
    if (left.length === 0) this.#waiting.delete(actorId);
    else this.#waiting.set(actorId, left);
  }
}

interface Waiter {
  readonly version: number;
  wake(): void;
}
