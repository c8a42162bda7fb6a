/** One row of a table, by column name; a column that the row lacks is missing. */
export type CsvRow = Readonly<Record<string, string>>;

/** A table whose first line names the columns. */
export interface CsvTable {
  readonly columns: readonly string[];
  readonly rows: readonly CsvRow[];
}

/**
 * Reads comma-separated values as RFC 4180 describes them: fields in quotes may hold commas, line breaks and doubled
 * quotes; lines end in LF or CRLF; empty lines and a byte order mark are passed over.
 *
 * @throws {Error} naming the line of a quote that is not closed, or of a row with more fields than there are columns
 */
export function parseCsv(text: string): CsvTable {
  const [columns = [], ...records] = parseRecords(text.replace(/^\uFEFF/, ""));
  const rows = records.map((fields, at) => {
    if (fields.length > columns.length) {
      throw new Error(
        `row ${at + 1} has ${fields.length} fields, there are ${columns.length} columns`,
      );
    }
    return Object.fromEntries(fields.map((field, column) => [columns[column] ?? "", field]));
  });
  return { columns, rows };
}

/** A field in quotes or plain, and what ends it. */
const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;

function parseRecords(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  for (field.lastIndex = 0; field.lastIndex < text.length || record.length > 0; ) {
    const start = field.lastIndex;
    const match = field.exec(text);
    if (match === null)
      throw new Error(`line ${lineOf(text, start)}: a quote stands where none may`);
    const [, quoted, plain = "", end] = match;
    record.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    if (record.length > 1 || record[0] !== "") records.push(record);
    record = [];
  }
  return records;
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
