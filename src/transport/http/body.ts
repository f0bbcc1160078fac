/** Bodies of HTTP requests that may be refused half-read, and count towards the budget as they arrive. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Exchange } from "./caller-context.ts";
import { endBehind } from "./door.ts";
import { KmsError } from "../../errors.ts";
import { maxMessageBytes } from "../limits.ts";

export const maxAdminBodyBytes = 64 * 1024;

/** What is left of a body that was refused half-read must be read off, or the next request of the connection would never be seen. */
export function outliveBody(request: IncomingMessage, response: ServerResponse): void {
  response.once("finish", () => request.resume());
}

/**
 * The whole body. MESSAGE_TOO_LARGE past `maxBytes`; CANCELLED where the caller leaves before its end; OVERLOADED where it is slow and others need
 * its room, and its connection ends then. `count` gets the size of each piece, and throws to refuse the body; and at the end of a compressed one
 * the largest size that it may become. Never a declared length, or a few callers that declare much and send nothing could keep all others out.
 */
export async function readBody(exchange: Exchange, maxBytes: number, count = (_bytes: number) => {}): Promise<Buffer> {
  const { request, response, connection, bodies } = exchange;
  const givenUp = Promise.withResolvers<never>();
  /** What still comes is not waited for. */
  const refusing = <T>(take: () => T): T => {
    try {
      return take();
    } catch (error) {
      if (!response.headersSent) endBehind(exchange);
      throw error;
    }
  };
  const arriving = refusing(() =>
    bodies.enter((error) => {
      connection?.tooSlow();
      endBehind(exchange);
      givenUp.reject(error);
    }),
  );
  const counted = (bytes: number) => {
    refusing(() => arriving.take(bytes));
    count(bytes);
  };
  try {
    const body = await Promise.race([collect(request, maxBytes, counted), givenUp.promise]);
    if (isCompressed(request)) count(maxMessageBytes);
    return body;
  } finally {
    arriving.leave();
  }
}

async function collect(request: IncomingMessage, maxBytes: number, count: (bytes: number) => void): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    // Leaving the body half-read must not destroy the socket, with the answer still on its way.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      length += chunk.length;
      if (length > maxBytes) throw new KmsError("MESSAGE_TOO_LARGE", `a body is at most ${maxBytes} bytes`);
      count(chunk.length);
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof KmsError) throw cause;
    throw new KmsError("CANCELLED", "the caller closed the connection", { cause });
  }
  return Buffer.concat(chunks);
}

function isCompressed({ headers }: IncomingMessage): boolean {
  return [headers["content-encoding"], headers["grpc-encoding"]].some(
    (encoding = "identity") => encoding !== "identity",
  );
}
