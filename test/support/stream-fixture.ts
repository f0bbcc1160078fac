/** A service whose SignSpans does as the test says, and streams to it. */
import { onTestFinished } from "vitest";
import type { CallContext } from "../../src/call/context.ts";
import type { Answers, StreamHandler } from "../../src/call/stream.ts";
import { openRaw, type RawStream } from "./raw-stream.ts";
import { openStream, type SpanClient } from "./stream-client.ts";
import type { StreamProtocol } from "./stream-protocols.ts";
import { type FakeKms, startTransports, type TransportOptions, type Transports } from "./transports-fixture.ts";
import { destroySession } from "./destroy-session.ts";

export interface StreamService extends Transports {
  open(...options: Parameters<typeof openStream> extends [string, ...infer Rest] ? Rest : never): SpanClient;
}

/** Ends with the test. */
export async function startStreams(
  signSpans: StreamHandler,
  options: Omit<TransportOptions, "streams"> & { handlers?: FakeKms } = {},
): Promise<StreamService> {
  const { handlers = {}, ...rest } = options;
  const transports = await startTransports(handlers, { ...rest, streams: { signSpans } });
  const clients: SpanClient[] = [];
  onTestFinished(async () => {
    for (const client of clients) client.close();
    await transports.stop();
  });
  return {
    ...transports,
    open(...given) {
      const client = openStream(transports.grpcAddress, ...given);
      clients.push(client);
      return client;
    },
  };
}

/** A service whose SignSpans does so by one of the protocols, with clients of it. Ends with the test. */
export async function startStreamsBy(
  protocol: StreamProtocol,
  signSpans: StreamHandler,
  options: Parameters<typeof startStreams>[1] = {},
) {
  const transports = await startStreams(protocol.carrying(signSpans), options);
  const ended = <T>(made: T, end: (made: T) => void): T => {
    onTestFinished(() => end(made));
    return made;
  };
  return {
    ...transports,
    open: (...given: Parameters<StreamProtocol["open"]> extends [string, ...infer Rest] ? Rest : never) =>
      ended(protocol.open(transports.grpcAddress, ...given), (client) => client.close()),
    raw: (...given: Parameters<StreamProtocol["raw"]> extends [string, ...infer Rest] ? Rest : never) =>
      ended(protocol.raw(transports.grpcAddress, ...given), ({ session }) => void destroySession(session)),
  };
}

/** Likewise. */
export function rawStream(...given: Parameters<typeof openRaw>): RawStream {
  const raw = openRaw(...given);
  onTestFinished(() => destroySession(raw.session));
  return raw;
}

export function answers(...messages: Uint8Array[]): Answers {
  return { bytes: messages.reduce((sum, { length }) => sum + length, 0), messages };
}

/** Gives each message back as its only answer. */
export const echo: StreamHandler = () => ({ take: async (message) => answers(message) });

export interface Taken {
  message: Uint8Array;
  answer(...messages: Uint8Array[]): void;
  fail(error: unknown): void;
}

/** A handler whose answers come when the test says so. */
export function gated() {
  const taken: Taken[] = [];
  const contexts: CallContext[] = [];
  const waiting: (() => void)[] = [];
  let asked = 0;
  const handler: StreamHandler = (context) => {
    contexts.push(context);
    return {
      take(message) {
        const { promise, resolve, reject } = Promise.withResolvers<Answers>();
        taken.push({ message, answer: (...given) => resolve(answers(...given)), fail: reject });
        for (const tell of waiting.splice(0)) tell();
        return promise;
      },
    };
  };
  return {
    handler,
    /** Of the streams, in the order of their beginnings. */
    contexts,
    /** How many messages have been taken so far. */
    count: () => taken.length,
    /** The next message that is taken, of any stream. */
    async next(): Promise<Taken> {
      const at = asked++;
      while (taken.length <= at) await new Promise<void>((resolve) => waiting.push(resolve));
      return taken[at]!;
    },
  };
}
