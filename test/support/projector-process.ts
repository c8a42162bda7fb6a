import { type ChildProcess, execFile, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually } from "./server.ts";

/** What a projector's process is to run. */
export interface ProjectorOrder {
  readonly url: string;
  readonly stream: string;
  readonly bucket: string;
  readonly generationEvents: number;
  readonly maxBatchEvents: number;
  /** @default 2000 */
  readonly requestTimeoutMs?: number | undefined;
}

/** What a projector's process tells. */
export type ProjectorNews =
  | { readonly news: "loaded" }
  /** It has claimed the state, which had taken so many events. */
  | { readonly news: "started"; readonly applied: number }
  /** It ended, or did not start. */
  | {
      readonly news: "failed";
      readonly started: boolean;
      readonly code: string;
      readonly message: string;
    };

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROGRAM = fileURLToPath(new URL("../fault/projector-process.ts", import.meta.url));
const COMPILER = join(ROOT, "node_modules/typescript/bin/tsc");

/** The program compiled once, so that a process of it starts in a tenth of a second. */
export class ProjectorProgram implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async compile(): Promise<ProjectorProgram> {
    const folder = await mkdtemp(join(tmpdir(), "annal-projector-"));
    const compilerOptions = {
      rootDir: ROOT,
      outDir: folder,
      noEmit: false,
      noCheck: true,
      allowImportingTsExtensions: false,
      rewriteRelativeImportExtensions: true,
    };
    const config = {
      extends: join(ROOT, "tsconfig.json"),
      compilerOptions,
      include: [],
      files: [PROGRAM],
    };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
    await writeFile(join(folder, "package.json"), '{ "type": "module" }');
    await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
    const compiler = execFile(process.execPath, [COMPILER, "-p", folder]);
    let said = "";
    compiler.stdout?.on("data", (text: string) => (said += text));
    await once(compiler, "exit");
    const program = new ProjectorProgram(folder);
    await stat(program.#path).catch((cause: unknown) => {
      throw new Error(`the projector's program was not compiled:\n${said}`, { cause });
    });
    return program;
  }

  get #path(): string {
    return join(this.#folder, relative(ROOT, PROGRAM).replace(/\.ts$/, ".js"));
  }

  /** Starts a process that waits for its order. */
  fork(): ProjectorProcess {
    return new ProjectorProcess(fork(this.#path, { execArgv: [], serialization: "advanced" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** A process with one projector, which ends by `kill` alone. */
export class ProjectorProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #news: ProjectorNews[] = [];

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (message: ProjectorNews) => this.#news.push(message));
    // A channel that the kill has closed.
    child.on("error", () => {});
  }

  /** All that it told so far, oldest first. */
  get news(): readonly ProjectorNews[] {
    return this.#news;
  }

  /** Waits until it has told something. */
  async told(news: ProjectorNews["news"], timeoutMs = 20_000): Promise<void> {
    await eventually(() => this.#news.some((one) => one.news === news), { timeoutMs });
  }

  /** Has it start its projector. */
  order(order: ProjectorOrder): void {
    this.#child.send(order);
  }

  /** Freezes it (SIGSTOP), until {@link goOn}. */
  stop(): void {
    this.#child.kill("SIGSTOP");
  }

  goOn(): void {
    this.#child.kill("SIGCONT");
  }

  /** Ends it at once (SIGKILL). Safe to call again. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
