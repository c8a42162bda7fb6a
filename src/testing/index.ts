/** `annal/testing`: projections tested without a server, and a store on a server of its own. */
export { given } from "./given.ts";
export { stateOf } from "./projected-state.ts";
export { testStore } from "./test-store.ts";

export type { ExpectedTables } from "./expected-tables.ts";
export type { ErrorClass, Given, When } from "./given.ts";
export type { GivenEvent } from "./given-events.ts";
export type { ProjectedState, ProjectedTable, ProjectedTables } from "./projected-state.ts";
export type { TestStore, TestStoreOptions } from "./test-store.ts";
