import type { Fingerprints } from "./fingerprint.ts";
import type { Details } from "./journal-entry.ts";
import type { AskedDetails, AskedPost, Asked } from "./prepare.ts";

/**
 * Fingerprint of what a command asks for, without its idempotency key: equal for equal commands. What changes the outcome is
 * in it; what only guards it (`expect`, `dryRun`) is not.
 */
export function contentOf(asked: Asked, prints: Fingerprints): number {
  prints.begin();
  prints.add(asked.kind);
  switch (asked.kind) {
    case "post":
      addPost(asked, prints);
      break;
    case "batch":
      for (const post of asked.posts) addPost(post, prints);
      break;
    case "revert":
      addPlace(asked.target, prints);
      prints.addNumber((asked.force ? 1 : 0) + (asked.atEffectiveDate ? 2 : 0));
      addText(asked.reference, prints);
      addMetadata(asked.metadata, prints);
      break;
    case "hold":
      for (const text of [asked.from, asked.to, asked.asset]) prints.add(text);
      prints.addBigint(asked.amount);
      prints.addNumber(asked.expiresAt);
      addDetails(asked, prints);
      break;
    case "capture":
      addPlace(asked.hold, prints);
      prints.addBigint(asked.amount ?? 0n);
      addText(asked.to, prints);
      addNumber(asked.expiresAt ?? undefined, prints);
      prints.addNumber(asked.final ? 1 : 0);
      addDetails(asked, prints);
      break;
    case "release":
      addPlace(asked.hold, prints);
      break;
    case "account":
      prints.add(asked.account);
      prints.add(canonical(asked.change));
      break;
    case "metadata":
      if (typeof asked.of === "string") prints.add(asked.of);
      else addPlace(asked.of, prints);
      prints.add(canonical(asked.set));
      prints.add(canonical(asked.deleted));
      break;
    default:
  }
  return prints.end();
}

function addPost(post: AskedPost, prints: Fingerprints): void {
  for (const { source, destination, asset, amount, expiresAt } of post.postings) {
    prints.add(source);
    prints.add(destination);
    prints.add(asset);
    prints.addBigint(amount);
    addNumber(expiresAt ?? undefined, prints);
  }
  prints.addNumber(post.partial ? 1 : 0);
  addDetails(post, prints);
}

function addDetails({ at, reference, metadata }: AskedDetails, prints: Fingerprints): void {
  addNumber(at, prints);
  addText(reference, prints);
  addMetadata(metadata, prints);
}

function addPlace(
  { position, index }: { readonly position: number; readonly index: number },
  prints: Fingerprints,
): void {
  prints.addNumber(position);
  prints.addNumber(index);
}

function addText(text: string | undefined, prints: Fingerprints): void {
  if (text === undefined) prints.addNothing();
  else prints.add(text);
}

function addNumber(number: number | undefined, prints: Fingerprints): void {
  if (number === undefined) prints.addNothing();
  else prints.addNumber(number);
}

function addMetadata(metadata: Details | undefined, prints: Fingerprints): void {
  addText(metadata === undefined ? undefined : canonical(metadata), prints);
}

/** The same text for equal values, whatever the order of their keys. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value instanceof Date) return `d${value.getTime()}`;
  if (value instanceof Uint8Array) return `b${Buffer.from(value).toString("base64")}`;
  if (typeof value === "bigint") return `n${value}`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value)
    .filter(([, of]) => of !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, of]) => `${JSON.stringify(key)}:${canonical(of)}`).join(",")}}`;
}
