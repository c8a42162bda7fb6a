import type { OnServerProgress } from "annal/server";

/** Prints what finding, fetching and starting a server is at, each step once. */
export function printServerProgress(): OnServerProgress {
  let shown = "";
  return ({ message }) => {
    if (message === shown) return;
    shown = message;
    console.log(`  ${message}`);
  };
}
