import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { onTestFinished } from "vitest";

/** What a diagnostics channel says of one stream while a test runs. */
export function listenTo<Message extends { readonly stream: string }>(
  name: string,
  stream: string,
): readonly Message[] {
  const heard: Message[] = [];
  const onMessage = (message: unknown): void => {
    const said = message as Message;
    if (said.stream === stream) heard.push(said);
  };
  subscribe(name, onMessage);
  onTestFinished(() => {
    unsubscribe(name, onMessage);
  });
  return heard;
}
