import { formatCount, formatTable } from "../lib/table.ts";
import { type Figures, lengthsOf } from "./figures.ts";

/** Rows of a table that are shown. */
const SHOWN = 6;
const right = { align: "right" } as const;

/** Prints the three read models, the largest rows of each. */
export function printFigures(figures: Figures): void {
  printStates(figures);
  printWork(figures);
  printDurations(figures);
}

function printStates({ casesByState, stateOfCase }: Figures): void {
  const states = Object.entries(casesByState).sort(([, one], [, other]) => other - one);
  const columns = [
    { title: "cases by state: what happened last" },
    { title: "cases", ...right },
    { title: "share", ...right },
  ];
  const share = (cases: number): string => `${((100 * cases) / stateOfCase.size).toFixed(1)} %`;
  const rows = states.map(([state, cases]) => [state, cases, share(cases)]);
  print(columns, rows, ["all", stateOfCase.size, ""]);
}

function printWork({ workOfResource }: Figures): void {
  const columns = [
    { title: "activities by resource" },
    { title: "activities", ...right },
    { title: "kinds", ...right },
    { title: "most often" },
  ];
  const resources = [...workOfResource].sort(
    ([, one], [, other]) => other.activities - one.activities,
  );
  const rows = resources.map(([name, { activities, byType }]) => {
    const kinds = Object.entries(byType).sort(([, one], [, other]) => other - one);
    return [
      name,
      activities,
      kinds.length,
      `${kinds[0]?.[0]} (${formatCount(kinds[0]?.[1] ?? 0)})`,
    ];
  });
  const all = resources.reduce((sum, [, { activities }]) => sum + activities, 0);
  print(columns, rows, ["all", all, "", ""]);
}

function printDurations({ spanOfCase, spans }: Figures): void {
  const lengths = lengthsOf(spanOfCase);
  const columns = [{ title: "durations of cases" }, { title: "", ...right }];
  const median = lengths[Math.floor((lengths.length - 1) / 2)] ?? 0;
  const mean = spans.cases === 0 ? 0 : spans.totalMs / spans.cases;
  const rows = [
    ["cases", formatCount(spans.cases)],
    ["shortest", formatSpan(lengths[0] ?? 0)],
    ["median", formatSpan(median)],
    ["mean", formatSpan(mean)],
    ["longest", formatSpan(spans.longestMs)],
  ];
  console.log(`\n${formatTable(columns, rows)}`);
}

function print(
  columns: Parameters<typeof formatTable>[0],
  rows: readonly (readonly (string | number)[])[],
  total: readonly (string | number)[],
): void {
  const left = rows.length - SHOWN;
  const more = left > 0 ? [[`… and ${formatCount(left)} more`]] : [];
  console.log(`\n${formatTable(columns, [...rows.slice(0, SHOWN), ...more, undefined, total])}`);
}

function formatSpan(ms: number): string {
  const minutes = ms / 60_000;
  if (minutes < 120) return `${minutes.toFixed(1)} minutes`;
  const hours = minutes / 60;
  return hours < 48 ? `${hours.toFixed(1)} hours` : `${(hours / 24).toFixed(1)} days`;
}
