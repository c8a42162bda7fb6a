/** `annal/testing`: projections and deciders tested without a server, and a store on a server of its own. */
export { given } from "./given.ts";
export { stateOf } from "./projected-state.ts";
export { testStore } from "./test-store.ts";

export type { ExpectedTables } from "./expected-tables.ts";
export type { ExpectedDecision } from "./expected-decision.ts";
export type { ErrorClass } from "./expected-error.ts";
export type { GivenActor, GivenActorOptions, WhenCommand, WhenOptions } from "./given-actor.ts";
export type { GivenEvent } from "./given-events.ts";
export type { Given, When } from "./given-projection.ts";
export type { ProjectedState, ProjectedTable, ProjectedTables } from "./projected-state.ts";
export type { TestStore, TestStoreOptions } from "./test-store.ts";
