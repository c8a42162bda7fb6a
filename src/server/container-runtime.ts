import { ServerStartError } from "../errors.ts";

/** The part of the testcontainers package that is used here. */
export type Testcontainers = typeof import("testcontainers");

/**
 * Loads the optional package `testcontainers`.
 *
 * @throws ServerStartError where it is not installed
 */
export async function loadTestcontainers(): Promise<Testcontainers> {
  try {
    return await import("testcontainers");
  } catch (cause) {
    throw new ServerStartError(
      "the package testcontainers is not installed, so no container can be used; " +
        "install it by: npm install --save-dev testcontainers",
      { cause },
    );
  }
}

/** Why no container can be started here; undefined where one can. */
export async function findContainerProblem(): Promise<string | undefined> {
  try {
    const { getContainerRuntimeClient } = await loadTestcontainers();
    await getContainerRuntimeClient();
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return error instanceof ServerStartError ? reason : `Docker cannot be used: ${reason}`;
  }
}
