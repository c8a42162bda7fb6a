import { setTimeout as delay } from "node:timers/promises";
import { ProgressLine } from "../lib/progress-line.ts";
import { formatCount } from "../lib/table.ts";
import { Instance } from "./instance.ts";
import { Load } from "./load.ts";
import type { ProofOptions } from "./options.ts";
import type { AccountSum } from "./audit.ts";
import { accountName } from "./requests.ts";

const POLL_MS = 20;
const PROBE_EVERY_MS = 100;
const SCRAPE_EVERY_MS = 1_000;
const SHOW_EVERY_MS = 200;
/** Longer than it takes to notice that an instance is not ready. */
const DRAIN_DELAY_MS = 1_000;
/** Without any answer for so long, something waits for what never comes. */
const STALLED_MS = 60_000;

/** Instances of the service, one of which is killed and one told to end while clients ask. */
export class Fleet {
  readonly instances: readonly Instance[];
  /** How the one that was told to end has ended. */
  stopCode: number | undefined;
  readonly #options: ProofOptions;
  readonly #progress = new ProgressLine(process.stderr);
  readonly #timers: NodeJS.Timeout[];
  #startedAt = performance.now();

  private constructor(instances: readonly Instance[], options: ProofOptions) {
    this.instances = instances;
    this.#options = options;
    this.#timers = [
      setInterval(() => this.#each((instance) => instance.probe()), PROBE_EVERY_MS),
      setInterval(() => this.#each((instance) => instance.scrape()), SCRAPE_EVERY_MS),
    ];
  }

  static async start(
    place: { readonly servers: string; readonly stream: string },
    options: ProofOptions,
  ): Promise<Fleet> {
    const env = {
      NATS_URL: place.servers,
      STREAM: place.stream,
      HOST: "127.0.0.1",
      PORT: "0",
      DRAIN_DELAY_MS: String(DRAIN_DELAY_MS),
    };
    const names = Array.from({ length: options.instances }, (_, at) => `instance ${at + 1}`);
    const started = await Promise.allSettled(names.map((name) => Instance.start(name, env)));
    const instances = started.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const failed = started.find((one) => one.status === "rejected");
    if (failed === undefined) return new Fleet(instances, options);
    await Promise.all(instances.map((instance) => instance.kill()));
    throw failed.reason;
  }

  /** Lets clients ask, kills the last instance and ends the last but one, while they go on. */
  async run(): Promise<Load> {
    const { clients, accounts, seconds } = this.#options;
    const [killed, stopped] = [this.instances.at(-1), this.instances.at(-2)];
    if (killed === undefined || stopped === undefined) throw new Error("too few instances");
    this.#startedAt = performance.now();
    const load = new Load(this.instances, clients, accounts);
    const show = setInterval(() => this.#show(load), SHOW_EVERY_MS);
    this.#timers.push(show);
    await this.#until(load, () => this.#elapsed() > seconds / 3 && haveAnswered(this.instances));
    await killed.kill();
    this.#tell(`SIGKILL: ${killed.name} is gone in the middle of what it was at`);
    const left = this.instances.filter(({ fate }) => fate === "");
    const before = left.map(({ counts }) => counts.acknowledged);
    const goOn = (): boolean =>
      left.every(({ counts }, at) => counts.acknowledged > (before[at] ?? 0));
    await this.#until(load, () => this.#elapsed() > (2 * seconds) / 3 && goOn());
    this.#tell(`SIGTERM: ${stopped.name} finishes what it is at`);
    this.stopCode = await Promise.race([stopped.stop(), failureOf(load)]);
    await this.#until(load, () => this.#elapsed() > seconds);
    await load.finish();
    this.#show(load);
    clearInterval(show);
    this.#progress.end();
    await Promise.all(this.#living.map((instance) => instance.scrape()));
    return load;
  }

  /** The accounts as the first instance, which lives, tells them. */
  async balances(): Promise<ReadonlyMap<string, AccountSum>> {
    const told = new Map<string, AccountSum>();
    const [living] = this.#living;
    if (living === undefined) return told;
    for (let at = 0; at < this.#options.accounts; at++) {
      const id = accountName(at);
      const response = await living.get(`/accounts/${id}`);
      if (response.status === 404) continue;
      const body: { readonly balance: string; readonly version: number } = JSON.parse(
        await response.text(),
      );
      told.set(id, { balance: BigInt(body.balance), version: body.version });
    }
    return told;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#progress.end();
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all(this.#living.map((instance) => instance.stop()));
  }

  get #living(): readonly Instance[] {
    return this.instances.filter(({ fate }) => fate === "");
  }

  #each(what: (instance: Instance) => Promise<void>): void {
    for (const instance of this.instances) {
      if (!instance.isKilled) void what(instance);
    }
  }

  #elapsed(): number {
    return (performance.now() - this.#startedAt) / 1_000;
  }

  /** Waits until something is so. @throws what a client met */
  async #until(load: Load, isSo: () => boolean): Promise<void> {
    let answers = load.answers.length;
    let movedAt = performance.now();
    while (!isSo()) {
      await Promise.race([delay(POLL_MS), failureOf(load)]);
      if (load.answers.length > answers) movedAt = performance.now();
      answers = load.answers.length;
      if (performance.now() - movedAt > STALLED_MS) {
        throw new Error(`nothing moved for ${STALLED_MS / 1_000} s`);
      }
    }
  }

  #tell(text: string): void {
    this.#progress.end();
    process.stderr.write(`  ${text}\n`);
  }

  #show(load: Load): void {
    const count = load.answers.length;
    const ready = this.instances.filter(({ isReady }) => isReady).length;
    const parts = [
      `${formatCount(count)} requests`,
      `${formatCount(count / this.#elapsed())}/s`,
      `${ready} ${ready === 1 ? "instance" : "instances"} ready`,
    ];
    this.#progress.show(this.#elapsed() / this.#options.seconds, parts.join(" · "));
  }
}

function haveAnswered(instances: readonly Instance[]): boolean {
  return instances.every(({ counts }) => counts.acknowledged > 0);
}

/** Rejects with what a client met; never resolves. */
async function failureOf(load: Load): Promise<never> {
  await load.ended;
  return await new Promise<never>(() => {});
}
