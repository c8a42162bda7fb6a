import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "../lib/random.ts";
import type { Instance } from "./instance.ts";
import {
  type Acknowledgement,
  type Answer,
  type BankRequest,
  makeRequest,
  toHttp,
} from "./requests.ts";

/** A request that is not answered by any instance for so long has failed for good. */
const GIVE_UP_MS = 30_000;
const REQUEST_TIMEOUT_MS = 10_000;
const REPEAT_AFTER_MS = 20;
/** Share of acknowledged requests that are asked again, as if the answer had been lost on its way. */
const ASKED_AGAIN = 0.05;

/** Of so many requests, the first is answered and its client does not hear it. */
const LOST_ANSWER_EVERY = 50;

/** What clients see of an instance. */
type Target = Pick<Instance, "name" | "url" | "counts" | "isReady">;

/** What one attempt came to; where it was not done, or nobody knows, another one must follow. */
type Outcome = Answer | "not done" | "in doubt";

/** Clients that ask the service at random, and repeat what was not answered elsewhere, under the same key. */
export class Load {
  readonly answers: Answer[] = [];
  /** Of whole requests, repetitions included. */
  readonly latenciesMs: number[] = [];
  /** Acknowledged requests that were asked again. */
  askedAgain = 0;
  /** Of those, the ones that got another answer than the first. */
  readonly answeredOtherwise: string[] = [];
  readonly #instances: readonly Target[];
  readonly #accounts: number;
  readonly #ended: Promise<unknown>;
  #made = 0;
  #isFinished = false;

  constructor(instances: readonly Target[], clients: number, accounts: number) {
    this.#instances = instances;
    this.#accounts = accounts;
    this.#ended = Promise.all(Array.from({ length: clients }, (_, at) => this.#client(at)));
    this.#ended.catch(() => {});
  }

  /** Rejects when a client met what must not happen. */
  get ended(): Promise<unknown> {
    return this.#ended;
  }

  /** Makes up no more requests; resolves when all have been answered. */
  async finish(): Promise<void> {
    this.#isFinished = true;
    await this.#ended;
  }

  async #client(number: number): Promise<void> {
    const random = seededRandom(number);
    while (!this.#isFinished) {
      const number = this.#made++;
      const request = makeRequest(number, this.#accounts, random);
      const startedAt = performance.now();
      const losesOne = number % LOST_ANSWER_EVERY === 0;
      const answer = await this.#untilAnswered(request, random, losesOne);
      this.answers.push(answer);
      this.latenciesMs.push(performance.now() - startedAt);
      if (answer.outcome === "acknowledged" && random() < ASKED_AGAIN) {
        this.#compare(answer, await this.#untilAnswered(request, random, false));
      }
    }
  }

  #compare(first: Acknowledgement, again: Answer): void {
    this.askedAgain++;
    const { key, version, commitId } = first;
    const isSame =
      again.outcome === "acknowledged" &&
      again.replayed &&
      again.version === version &&
      again.commitId === commitId;
    if (!isSame) this.answeredOtherwise.push(`${key}: ${again.outcome} anew when asked again`);
  }

  async #untilAnswered(
    request: BankRequest,
    random: () => number,
    losesOne: boolean,
  ): Promise<Answer> {
    const giveUpAt = performance.now() + GIVE_UP_MS;
    let last: Target | undefined;
    let isToBeLost = losesOne;
    let inDoubt = false;
    while (performance.now() < giveUpAt) {
      const ready = this.#instances.filter(({ isReady }) => isReady);
      const others = ready.filter((instance) => instance !== last);
      const choice = others.length > 0 ? others : ready;
      const instance = choice[Math.floor(random() * choice.length)];
      if (instance !== undefined) {
        last = instance;
        const outcome = await attemptAt(instance, request, inDoubt);
        if (typeof outcome !== "string") {
          if (!isToBeLost) return outcome;
          isToBeLost = false;
          instance.counts.lost++;
        }
        if (outcome !== "not done") inDoubt = true;
      }
      await delay(REPEAT_AFTER_MS);
    }
    throw new Error(`${request.key} was not answered within ${GIVE_UP_MS / 1_000} s`);
  }
}

async function attemptAt(
  { name, url, counts }: Target,
  request: BankRequest,
  inDoubt: boolean,
): Promise<Outcome> {
  const { path, body } = toHttp(request);
  const startedAt = performance.now();
  counts.sent++;
  let status: number;
  let text: string;
  try {
    const response = await fetch(`${url}${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": request.key },
      body,
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    ({ status } = response);
    text = await response.text();
  } catch (error) {
    const isUnheard = isRefusedConnection(error);
    counts[isUnheard ? "unheard" : "cut"]++;
    return isUnheard ? "not done" : "in doubt";
  }
  counts.latenciesMs.push(performance.now() - startedAt);
  if (status === 503 || status === 504) {
    counts.unavailable++;
    return status === 503 ? "not done" : "in doubt";
  }
  if (status === 409) {
    counts.refused++;
    return { ...request, outcome: "refused", inDoubt };
  }
  if (status !== 200) throw new Error(`${name} answered ${request.key} with ${status}: ${text}`);
  counts.acknowledged++;
  return { ...request, outcome: "acknowledged", ...readAcknowledgement(text) };
}

function readAcknowledgement(text: string): {
  readonly version: number;
  readonly commitId: string;
  readonly replayed: boolean;
} {
  const body: Record<"version" | "commitId" | "replayed", unknown> = JSON.parse(text);
  return {
    version: Number(body.version),
    commitId: String(body.commitId),
    replayed: body.replayed === true,
  };
}

/** Whether nobody listened any more, so that nothing was cut. */
function isRefusedConnection(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "ECONNREFUSED";
}
