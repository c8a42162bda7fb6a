/** ES2024; every Node that the package supports has it, the ES2023 type library does not. */
interface WellFormedText {
  isWellFormed(): boolean;
}

/** Whether the text has no lone surrogate, so that it survives UTF-8 unchanged. */
export function isWellFormed(text: string): boolean {
  return (text as string & WellFormedText).isWellFormed();
}
