/** A column: its title, and on which side its cells stand. */
export interface Column {
  readonly title: string;
  /** @default "left" */
  readonly align?: "left" | "right";
}

/** Draws a table as lines of text; a row of `undefined` is a rule. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly (string | number)[] | undefined)[],
): string {
  const cells = rows.map((row) => row?.map(formatCell));
  const titles = columns.map((column) => column.title);
  const widths = titles.map((title, at) =>
    Math.max(title.length, ...cells.map((row) => row?.[at]?.length ?? 0)),
  );
  const rule = `  ${widths.map((width) => "─".repeat(width)).join("──")}`;
  const line = (row: readonly string[]): string => {
    const padded = columns.map(({ align }, at) => {
      const cell = row[at] ?? "";
      const width = widths[at] ?? 0;
      return align === "right" ? cell.padStart(width) : cell.padEnd(width);
    });
    return `  ${padded.join("  ")}`.trimEnd();
  };
  return [line(titles), rule, ...cells.map((row) => (row === undefined ? rule : line(row)))].join(
    "\n",
  );
}

/** A number with its thousands apart: `8,577`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

function formatCell(cell: string | number): string {
  return typeof cell === "number" ? formatCount(cell) : cell;
}
