/** One thing to be released. */
export type Release = () => void | undefined | Promise<void | undefined>;

/**
 * Releases things one after the other, all of them, whatever goes wrong with some.
 *
 * @throws what the first that failed threw, when all are done
 */
export async function releaseAll(releases: readonly Release[]): Promise<void> {
  const failures: { readonly error: unknown }[] = [];
  for (const release of releases) {
    try {
      await release();
    } catch (error) {
      failures.push({ error });
    }
  }
  const [first] = failures;
  if (first !== undefined) throw first.error;
}
