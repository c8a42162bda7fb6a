import type { TestProject } from "vitest/node";
import { useServer } from "../../src/server/index.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** URL of the server that all integration tests share. */
    natsUrl: string;
  }
}

/** Starts one server for the whole project, or takes the one of `NATS_URL`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await useServer({
    onProgress({ phase, message }) {
      if (phase !== "start") process.stderr.write(`${message}\n`);
    },
  });
  project.provide("natsUrl", server.url);
  return async () => {
    await server[Symbol.asyncDispose]();
  };
}
