/** Those who wait for one signal to abort. */
class Waiting {
  readonly #signal: AbortSignal;
  readonly #listeners = new Set<() => void>();
  readonly #tell = (): void => {
    waitingFor.delete(this.#signal);
    for (const listener of this.#listeners) listener();
  };

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#tell, { once: true });
  }

  add(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** The last one ends it: a signal that is listened to is not collected. */
  remove(listener: () => void): void {
    if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return;
    this.#signal.removeEventListener("abort", this.#tell);
    waitingFor.delete(this.#signal);
  }
}

const waitingFor = new WeakMap<AbortSignal, Waiting>();

/**
 * Calls back once when a signal aborts that has not aborted yet. However many calls share a signal, it has one listener:
 * Node warns of a leak at the eleventh, and goes through all of them for each that is added.
 *
 * @param listener nobody else's
 * @returns what ends it
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  let waiting = waitingFor.get(signal);
  if (waiting === undefined) waitingFor.set(signal, (waiting = new Waiting(signal)));
  const all = waiting;
  all.add(listener);
  return () => all.remove(listener);
}

/**
 * Waits for `promise`, or rejects with `signal.reason` as soon as `signal` aborts. The promise itself goes on;
 * its listener on the signal is removed either way.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  if (signal.aborted) {
    promise.catch(() => {});
    return Promise.reject(signal.reason);
  }
  return new Promise<T>((resolve, reject) => {
    const end = onAbort(signal, () => reject(signal.reason));
    promise.then(
      (value) => {
        end();
        resolve(value);
      },
      (error: unknown) => {
        end();
        reject(error);
      },
    );
  });
}
