import { BigInteger } from "../internal/big-integer.ts";

const LARGEST = BigInt(Number.MAX_SAFE_INTEGER);
const SMALLEST = -LARGEST;

/** An amount as it is packed: an integer where that is exact, else a big integer. */
export function packAmount(amount: bigint): number | BigInteger {
  return amount <= LARGEST && amount >= SMALLEST ? Number(amount) : new BigInteger(amount);
}
