import type { CheckedStream, ObservedStream } from "../nats/stream.ts";
import type { SettingsProblem } from "../nats/stream-settings.ts";
import { channels } from "./diagnostics.ts";

/** What the server last said of the stream's settings, which an administrator may change at any time. */
export class StreamCondition {
  readonly #stream: string;
  readonly #prefix: string;
  #last: CheckedStream;
  #problems: readonly SettingsProblem[] = [];

  /** @param checked as it was found when the store was opened */
  constructor(checked: CheckedStream, prefix: string) {
    this.#stream = checked.name;
    this.#prefix = prefix;
    this.#last = checked;
  }

  get replicas(): number {
    return this.#last.replicas;
  }

  /** Bytes of headers and payload that the stream takes in one message; undefined = as much as the server. */
  get maxMessageBytes(): number | undefined {
    return this.#last.maxMessageBytes;
  }

  /** Whether the stream takes nothing but `<prefix>.>`, so that a reader of all needs no filter. */
  get ownsStream(): boolean {
    return this.#last.subjects.every((subject) => subject === `${this.#prefix}.>`);
  }

  /** What could lose, hide or change events; empty where nothing could. */
  get problems(): readonly SettingsProblem[] {
    return this.#problems;
  }

  /** Takes what the server says now, and tells of problems that came or went. */
  take(observed: ObservedStream): void {
    const { replicas, problems } = observed;
    const changed = nameOf(problems) !== nameOf(this.#problems);
    this.#last = observed;
    this.#problems = problems;
    if (!changed || !channels.settings.hasSubscribers) return;
    channels.settings.publish({ stream: this.#stream, replicas, problems });
  }
}

function nameOf(problems: readonly SettingsProblem[]): string {
  return problems.map(({ setting, found }) => `${setting} ${found}`).join();
}
