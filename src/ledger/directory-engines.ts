import { ClosedError } from "../errors.ts";
import { releaseAll } from "../internal/release-all.ts";
import type { LedgerInfo } from "./ledger-info.ts";

/** What keeps a ledger's state in memory and appends to its journal. */
export interface Engine {
  /** Whether it cannot go on: the next one who opens the ledger needs another one. */
  readonly hasFailed: boolean;
  close(): Promise<void>;
}

/** One engine a ledger, started by whoever opens it first and shared by all who open it; closed together. */
export class LedgerEngines<E extends Engine> {
  readonly #start: (info: LedgerInfo) => Promise<E>;
  readonly #engines = new Map<string, Promise<E>>();
  /** Of those that are no longer given to anybody. */
  readonly #dropping = new Set<Promise<void>>();
  #closing: Promise<void> | undefined;

  constructor(start: (info: LedgerInfo) => Promise<E>) {
    this.#start = start;
  }

  /** One that did not start is forgotten: the next call tries anew. @throws what its start throws, {ClosedError} */
  get(info: LedgerInfo): Promise<E> {
    const { name } = info;
    if (this.#closing !== undefined) return Promise.reject(new ClosedError("the ledgers"));
    const known = this.#engines.get(name);
    if (known !== undefined) return known.then((engine) => this.#unfailed(info, known, engine));
    const starting = this.#start(info);
    this.#engines.set(name, starting);
    starting.catch(() => {
      if (this.#engines.get(name) === starting) this.#engines.delete(name);
    });
    return starting;
  }

  /** An engine that can go on, in place of one that cannot. */
  #unfailed(info: LedgerInfo, known: Promise<E>, engine: E): E | Promise<E> {
    if (!engine.hasFailed) return engine;
    if (this.#engines.get(info.name) === known) {
      this.#engines.delete(info.name);
      engine.close().catch(() => {});
    }
    return this.get(info);
  }

  /** Closes a ledger's engine, if there is one; who asks for it next starts another one. */
  async drop(name: string): Promise<void> {
    const known = this.#engines.get(name);
    if (known === undefined) return;
    this.#engines.delete(name);
    const closing = known.then(
      (engine) => engine.close(),
      () => {},
    );
    this.#dropping.add(closing);
    await closing.finally(() => this.#dropping.delete(closing));
  }

  /** Safe to call again; all calls end together. */
  close(): Promise<void> {
    const starting = [...this.#engines.values()].map((engine) => async () => {
      await (await engine.catch(() => undefined))?.close();
    });
    const dropping = [...this.#dropping].map((closing) => () => closing);
    this.#closing ??= releaseAll([...starting, ...dropping]);
    return this.#closing;
  }
}
