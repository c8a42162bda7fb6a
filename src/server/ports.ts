import { randomInt } from "node:crypto";

/**
 * Lowest and highest port that is tried. They lie below the range that Linux (32768 and up) and macOS (49152 and up)
 * take for outgoing connections. A server that is down must not lose its port to such a connection, least of all to
 * a client's own attempt to reconnect, which can meet itself on loopback and would then hold the port.
 */
const LOWEST = 20_000;
const HIGHEST = 32_700;

/**
 * Chooses `count` different ports at random. Whether they are free is not asked here: binding is the only answer
 * that still holds a moment later, so the server tries, and where it fails another choice is made.
 */
export function choosePorts(count: number): readonly number[] {
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(randomInt(LOWEST, HIGHEST + 1));
  return [...chosen];
}

/** Whether the log of a server that did not start says that a port was taken. */
export function saysPortTaken(log: string): boolean {
  return /address already in use/i.test(log);
}
