/** Bodies of HTTP requests that may be refused half-read, and count towards the budget as they arrive. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { KmsError } from "../errors.ts";
import { maxMessageBytes } from "./grpc.ts";

const maxAdminBodyBytes = 64 * 1024;

/**
 * Leaving the body half-read must not destroy the socket, with the answer still on its way; and what is left must be read off, or
 * the next request of the connection would never be seen.
 */
export function outliveBody(request: IncomingMessage, response: ServerResponse): void {
  request[Symbol.asyncIterator] = () => request.iterator({ destroyOnReturn: false });
  response.once("finish", () => request.resume());
}

/**
 * Hands the size of each piece to `count`, which throws to refuse the body; and at the end of a compressed one the largest size that it
 * may become. Never a declared length, or a few callers that declare much and send nothing could keep all others out.
 */
export function countBody(request: IncomingMessage, count: (bytes: number) => void): void {
  request[Symbol.asyncIterator] = async function* (): AsyncGenerator<Buffer, undefined> {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      count(chunk.length);
      yield chunk;
    }
    if (isCompressed(request)) count(maxMessageBytes);
    return undefined;
  };
}

function isCompressed({ headers }: IncomingMessage): boolean {
  return [headers["content-encoding"], headers["grpc-encoding"]].some(
    (encoding = "identity") => encoding !== "identity",
  );
}

/** The body of an administrative request. MESSAGE_TOO_LARGE past 64 KiB; CANCELLED where the caller leaves before its end. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  countBody(request, (bytes) => {
    length += bytes;
    if (length > maxAdminBodyBytes)
      throw new KmsError("MESSAGE_TOO_LARGE", `a body is at most ${maxAdminBodyBytes} bytes`);
  });
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch (cause) {
    if (cause instanceof KmsError) throw cause;
    throw new KmsError("CANCELLED", "the caller closed the connection", { cause });
  }
  return Buffer.concat(chunks);
}
