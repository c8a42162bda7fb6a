import type { Connection } from "./connection.ts";

/** Told of what others send; must not throw. */
export type OnSignal = (text: string) => void;

/**
 * Short messages among the processes that share a subject, over core NATS: at most once, never waited for. Where the
 * connection may not publish or subscribe there, nothing is heard.
 */
export class Signal {
  readonly #connection: Connection;
  readonly #subject: string;
  readonly #stop: () => void;

  constructor(connection: Connection, subject: string, onSignal: OnSignal) {
    this.#connection = connection;
    this.#subject = subject;
    const subscription = connection.nc.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) onSignal(message.string());
      },
    });
    this.#stop = () => subscription.unsubscribe();
  }

  send(text: string): void {
    if (this.#connection.connected) this.#connection.nc.publish(this.#subject, text);
  }

  close(): void {
    if (!this.#connection.nc.isClosed()) this.#stop();
  }
}
