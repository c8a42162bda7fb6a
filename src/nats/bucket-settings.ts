import type { StreamInfo } from "@nats-io/jetstream";
import { InvalidArgumentError, StreamSettingsError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import {
  callStreamApi,
  findOrCreate,
  type JetStreamAccess,
  type StreamSettings,
} from "./stream.ts";
import { findSettingsProblems, type SettingsProblem } from "./stream-settings.ts";

/** The bucket that is asked for. */
export interface BucketRequest extends JetStreamAccess {
  /** Name of the bucket, of `[A-Za-z0-9_-]`. */
  readonly name: string;
  /** Replicas of a new bucket, and the least that an existing one must have. @default 1 */
  readonly replicas?: number | undefined;
  /** Replicas of a new bucket where `replicas` does not say. @default 1 */
  readonly newReplicas?: number | undefined;
  /** Create the bucket where it does not exist. @default true */
  readonly create?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A bucket whose settings keep every key's last entry and let several be written at once. */
export interface CheckedBucket {
  readonly replicas: number;
  /** Bytes of headers and data that it takes in one entry; undefined = as much as the server. */
  readonly maxMessageBytes: number | undefined;
}

/** The stream that holds a bucket (ADR-8 of NATS). */
export function streamOfBucket(name: string): string {
  return `KV_${name}`;
}

/** What the subjects of a bucket's keys start with, without the dot before the key. */
export function subjectOfBucket(name: string): string {
  return `$KV.${name}`;
}

/** Where buckets differ from streams of events: what clients of NATS set differently is left as it is. */
const leftAsTheyAre: ReadonlySet<string> = new Set(["deny_delete", "allow_rollup_hdrs"]);

/**
 * Finds the bucket, or creates it, and checks the settings that the server returns. One that another client made is
 * taken over: it is allowed atomic batches, if it is as it must be otherwise.
 *
 * @throws InvalidArgumentError of the name; StreamNotFoundError with `create: false`; StreamSettingsError;
 * JetStreamUnavailableError; ServerRefusedError; the signal's reason
 */
export async function ensureBucket(
  connection: Connection,
  request: BucketRequest,
): Promise<CheckedBucket> {
  const { name } = request;
  if (!/^[A-Za-z0-9_-]{1,200}$/.test(name)) {
    throw new InvalidArgumentError("bucket", "a name of up to 200 of A-Z a-z 0-9 _ -", name);
  }
  const stream = streamOfBucket(name);
  const create = request.create ?? true;
  return callStreamApi(connection.nc, { ...request, name: stream, create }, async (manager) => {
    let info = await findOrCreate(manager, stream, create ? newSettings(request) : undefined);
    if (info.config.allow_atomic !== true) {
      assertSound(info, request, "allow_atomic");
      info = await manager.streams.update(stream, { ...info.config, allow_atomic: true });
    }
    assertSound(info, request);
    const { num_replicas: replicas, max_msg_size: size } = info.config;
    return { replicas, maxMessageBytes: size > 0 ? size : undefined };
  });
}

function newSettings({ name, replicas, newReplicas = 1 }: BucketRequest): StreamSettings {
  return {
    name: streamOfBucket(name),
    subjects: [`${subjectOfBucket(name)}.>`],
    storage: "file",
    retention: "limits",
    discard: "new",
    compression: "none",
    num_replicas: replicas ?? newReplicas,
    max_age: 0,
    max_msgs: -1,
    max_msgs_per_subject: 1,
    max_bytes: -1,
    allow_direct: true,
    allow_atomic: true,
    allow_rollup_hdrs: true,
    deny_delete: true,
  };
}

function assertSound(info: StreamInfo, request: BucketRequest, except?: string): void {
  const settings = Object.fromEntries(Object.entries(info.config));
  const asked = { prefix: subjectOfBucket(request.name), replicas: request.replicas };
  const problems: SettingsProblem[] = findSettingsProblems(settings, asked).filter(
    ({ setting }) =>
      !leftAsTheyAre.has(setting) && setting !== "max_msgs_per_subject" && setting !== except,
  );
  const history = info.config.max_msgs_per_subject;
  if (history !== 1) {
    const expected = "1 (a history of one entry)";
    problems.push({ setting: "max_msgs_per_subject", expected, found: String(history) });
  }
  if (problems.length > 0) throw new StreamSettingsError(info.config.name, problems);
}
