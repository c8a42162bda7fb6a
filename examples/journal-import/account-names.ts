const plain = /[A-Za-z0-9.-]/;

/**
 * The account of a ledger that stands for an account of any name: segments keep their letters, digits, dots and dashes;
 * every other byte of their UTF-8 form becomes `_HH`, and a segment of nothing becomes `_`. No two names share one.
 */
export function accountOf(name: string): string {
  // a journal's own account of this name is not the one that a ledger's credits come from
  if (name === "world") return "_77orld";
  return name
    .split(":")
    .map((segment) => (segment === "" ? "_" : escaped(segment)))
    .join(":");
}

/** The name that an account of a ledger stands for; undefined where it stands for none. */
export function nameOf(account: string): string | undefined {
  const name = account
    .split(":")
    .map((segment) => (segment === "_" ? "" : unescaped(segment)))
    .join(":");
  return accountOf(name) === account ? name : undefined;
}

function escaped(segment: string): string {
  let text = "";
  for (const byte of new TextEncoder().encode(segment)) {
    const character = String.fromCharCode(byte);
    text += plain.test(character)
      ? character
      : `_${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}

function unescaped(segment: string): string {
  const bytes = segment.replaceAll(/_([0-9A-F]{2})/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  return new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
}
