export { AnnalError } from "./errors.ts";
