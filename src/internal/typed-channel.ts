import { channel } from "node:diagnostics_channel";

/** A `node:diagnostics_channel` channel whose messages have a known shape. */
export interface TypedChannel<Message> {
  readonly hasSubscribers: boolean;
  publish(message: Message): void;
  subscribe(listener: (message: Message, name: string | symbol) => void): void;
  unsubscribe(listener: (message: Message, name: string | symbol) => void): boolean;
}

/** Only the package publishes on its channels, so what its own code publishes is what listeners get. */
export function typedChannel<Message>(name: string): TypedChannel<Message> {
  return channel(name) as unknown as TypedChannel<Message>;
}
