/** What `findServer` and `startServer` are doing, for a line on a terminal or a log. */
export interface ServerProgress {
  /**
   * - `notice`: something was passed over that the user may want to know of, such as a binary that is too old
   * - `index`: the package index of a suite is read
   * - `download`: the server's package is fetched
   * - `unpack`: it is unpacked into the cache
   * - `image`: a container image is started, and pulled where it is missing
   * - `start`: the server starts
   */
  readonly phase: "notice" | "index" | "download" | "unpack" | "image" | "start";
  /** One line without a final full stop. */
  readonly message: string;
  /** How much of this phase is done, from 0 to 1; absent where that is not known. */
  readonly fraction?: number;
}

/** Receives progress; what it throws is not caught. */
export type OnServerProgress = (progress: ServerProgress) => void;
