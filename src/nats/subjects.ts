import type { Msg } from "@nats-io/nats-core";
import { JetStreamUnavailableError, ReadTimeoutError, ServerRefusedError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import type { RequestFailure } from "./requests.ts";

interface InfoAnswer {
  readonly total?: number;
  readonly limit?: number;
  readonly state?: { readonly subjects?: Readonly<Record<string, number>> };
  readonly error?: {
    readonly code: number;
    readonly err_code: number;
    readonly description: string;
  };
}

/** One page of a stream's subjects. */
export interface SubjectPage {
  readonly subjects: readonly string[];
  /** Subjects of all pages. */
  readonly total: number;
}

/**
 * The subjects of a stream that match a pattern, sorted, a page (the server's: 100,000) from an offset on. The server
 * sorts them all for each page, so this is for administration, not for hot paths.
 */
export function listSubjects(
  connection: Connection,
  stream: string,
  apiPrefix: string,
  filter: string,
  offset: number,
  timeoutMs: number,
): Promise<SubjectPage> {
  const request = Buffer.from(JSON.stringify({ subjects_filter: filter, offset }));
  return new Promise((resolve, reject) => {
    connection.requests.send(`${apiPrefix}.STREAM.INFO.${stream}`, request, undefined, timeoutMs, {
      onReply(message: Msg): boolean {
        try {
          resolve(pageOf(message, stream));
        } catch (error) {
          reject(error);
        }
        return true;
      },
      onFailure(failure: RequestFailure): void {
        const what = `stream ${stream}: no list of subjects within ${timeoutMs} ms (${failure})`;
        reject(new ReadTimeoutError(what));
      },
    });
  });
}

function pageOf(message: Msg, stream: string): SubjectPage {
  if (message.data.length === 0) {
    throw new JetStreamUnavailableError(`nobody answers for stream ${stream}`);
  }
  const { error, state, total } = message.json<InfoAnswer>();
  if (error !== undefined) {
    throw new ServerRefusedError(
      error.err_code,
      error.description,
      `listing subjects of ${stream}`,
    );
  }
  const subjects = Object.keys(state?.subjects ?? {}).sort();
  return { subjects, total: total ?? subjects.length };
}
