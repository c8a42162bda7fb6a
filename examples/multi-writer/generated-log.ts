import { seededRandom } from "../lib/random.ts";
import type { RawRow } from "./event-log.ts";

/** Orders that are being worked on at the same time. */
const OPEN_ORDERS = 400;
const RESOURCES = 24;
const FIRST_MOMENT = Date.UTC(2024, 0, 1);

const steps = [
  "Order placed",
  "Payment received",
  "Stock reserved",
  "Picked & packed",
  "Weighed (kg)",
  "Label printed",
  "Handed to carrier",
  "Out for delivery",
  "Delivered",
] as const;

/** What may come between two steps. */
const detours = ["Customer called", "Address corrected", "Picked again"] as const;

interface OpenOrder {
  readonly id: string;
  step: number;
}

/**
 * Makes up the log of a mail-order house: many orders at once, each handled by many hands, with ids and types that hold
 * spaces and other characters. The same seed gives the same log.
 */
export function generateRows(seed: number, events: number): RawRow[] {
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(random() * count);
  const rows: RawRow[] = [];
  const open: OpenOrder[] = [];
  let orders = 0;
  let moment = FIRST_MOMENT;
  while (rows.length < events) {
    while (open.length < OPEN_ORDERS) open.push({ id: orderId(++orders), step: 0 });
    const at = pick(open.length);
    const order = open[at];
    if (order === undefined) continue;
    const detour = order.step > 0 && random() < 0.15;
    const eventType = detour ? detours[pick(detours.length)] : steps[order.step++];
    if (eventType === undefined) {
      open.splice(at, 1);
      continue;
    }
    moment += 1 + pick(60_000);
    const resource = `Desk ${pick(RESOURCES) + 1}`;
    rows.push({ actorId: order.id, eventType, resource, time: new Date(moment).toISOString() });
  }
  return rows;
}

function orderId(number: number): string {
  const place = ["Köln", "A.B.C", "N* > 5", "=2E", "京都"][number % 5] ?? "";
  return `${place} ${number}`;
}
