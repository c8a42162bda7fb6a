import { cpus, totalmem } from "node:os";

/** Where a bench ran: figures of different machines cannot be compared, ratios can. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly node: string;
  readonly natsServer: string;
}

/** The facts of this machine, and of the server that was measured. */
export function describeMachine(natsServer: string): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    natsServer,
  };
}
