/** One way of doing the job: does it once, answers with its figure. */
export type Contender = (round: number) => Promise<number>;

/**
 * Lets the contenders take turns, A B C A B C, so that whatever else the machine does hits them alike. The first
 * round warms up and does not count.
 */
export async function takeTurns<Name extends string>(
  rounds: number,
  contenders: Readonly<Record<Name, Contender>>,
): Promise<Record<Name, number[]>> {
  const results = new Map<string, number[]>();
  const entries = Object.entries<Contender>(contenders);
  for (const [name] of entries) results.set(name, []);
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, contender] of entries) {
      const figure = await contender(round);
      if (round > 0) results.get(name)?.push(figure);
    }
  }
  return Object.fromEntries(results) as Record<Name, number[]>;
}

/** Does a job `count` times with `lanes` of them on their way at once; gives how many were done a second. */
export async function inLanes(
  count: number,
  lanes: number,
  job: (at: number) => Promise<unknown>,
): Promise<number> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await job(next++);
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: Math.min(lanes, count) }, lane));
  return perSecond(count, startedAt);
}

/** How many a second since `startedAt` (of `performance.now`). */
export function perSecond(count: number, startedAt: number): number {
  return (count * 1_000) / (performance.now() - startedAt);
}

/** How long a job takes, milliseconds. */
export async function timed(job: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await job();
  return performance.now() - startedAt;
}
