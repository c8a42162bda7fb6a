import { type AppendTrace, appendTracing, channels } from "./diagnostics.ts";
import { headerLines, type PreparedAppend } from "./outgoing.ts";
import type { Stored } from "./placement.ts";
import type { AppendResult } from "./writer.ts";

/** Says on the channel how an append ended. */
export type Tell = (stored: Stored | readonly Stored[] | undefined, error: unknown) => void;

/** How to say that an append (which begins now) has ended; undefined where nobody listens. */
export function tellAppend(
  stream: string,
  appends: readonly PreparedAppend[],
  commitId: string,
): Tell | undefined {
  if (!channels.append.hasSubscribers) return undefined;
  const startedAt = performance.now();
  const { subjects, events } = extentOf(appends);
  return (stored, error) => {
    const durationMs = performance.now() - startedAt;
    const position = [stored ?? []].flat().at(-1)?.position;
    channels.append.publish({ stream, subjects, commitId, events, durationMs, position, error });
  };
}

/** Runs an append between the start and the end that subscribers hear of, with the headers that they added. */
export function traceAppend(
  stream: string,
  append: PreparedAppend,
  headers: Readonly<Record<string, string>> | undefined,
  work: (append: PreparedAppend) => Promise<AppendResult>,
): Promise<AppendResult> {
  const message = traceOf(stream, [append], append.commitId, headers);
  return appendTracing.promise(async () => {
    const result = await work({ ...append, extraHeaders: headerLines(message.headers) });
    message.position = result.position;
    message.version = result.version;
    message.replayed = result.replayed;
    return result;
  }, message);
}

/** As {@link traceAppend}; each message gets the headers. */
export function traceAppendAll(
  stream: string,
  commitId: string,
  appends: readonly PreparedAppend[],
  headers: Readonly<Record<string, string>> | undefined,
  work: (appends: readonly PreparedAppend[]) => Promise<readonly AppendResult[]>,
): Promise<readonly AppendResult[]> {
  const message = traceOf(stream, appends, commitId, headers);
  return appendTracing.promise(async () => {
    const extraHeaders = headerLines(message.headers);
    const results = await work(appends.map((append) => ({ ...append, extraHeaders })));
    message.position = Math.max(...results.map(({ position }) => position));
    message.replayed = results.some(({ replayed }) => replayed);
    return results;
  }, message);
}

function traceOf(
  stream: string,
  appends: readonly PreparedAppend[],
  commitId: string,
  headers: Readonly<Record<string, string>> | undefined,
): AppendTrace {
  return { stream, ...extentOf(appends), commitId, headers: { ...headers } };
}

function extentOf(appends: readonly PreparedAppend[]): {
  readonly subjects: readonly string[];
  readonly events: number;
} {
  const subjects = appends.map(({ subject }) => subject);
  return { subjects, events: appends.reduce((sum, { eventCount }) => sum + eventCount, 0) };
}
