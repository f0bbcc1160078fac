/**
 * Messages of gRPC that come compressed. grpc-js would decompress each as soon as it is there, so that 4 KB are 4 MiB before anyone has counted
 * them, on as many streams as there are. It is not told of their compression, and they are decompressed here: within the call, a few at a time.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { promisify } from "node:util";
import { unzip as unzipThen, unzipSync } from "node:zlib";
import type { Server } from "@grpc/grpc-js";
import { invalidField, KmsError } from "../../../errors.ts";
import { overloaded } from "../../budget.ts";
import { callerLeft } from "../../call-context.ts";
import { http2ServersOf } from "./grpc-js-internals.ts";

/** `unzip` tells which by the first bytes. */
const gzipOrDeflate = promisify(unzipThen);
const encodings: ReadonlySet<unknown> = new Set(["gzip", "deflate"]);
const headBytes = 5;
/** Of the whole process: each holds one message, and a thread that others wait for. */
const atOnce = 2;
/** And so many wait for their turn: some seconds, where each becomes as large as it may. */
const maxWaiting = 1_000;
/** What is smaller lies in memory that is many times as large. */
const smallBytes = 16 * 1024;
/** Of health checks and reflection, before and after. */
const maxForeignBytes = 64 * 1024;

/** Streams whose messages may be compressed, and whether by an encoding that is known. */
const compressedStreams = new WeakMap<ServerHttp2Stream, boolean>();

/** Call after `server` is bound. A call whose message comes by another encoding is left to grpc-js, which refuses it. */
export function hideCompression(server: Server): void {
  for (const http2Server of http2ServersOf(server)) http2Server.prependListener("stream", hide);
}

function hide(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const encoding = headers["grpc-encoding"];
  if (encoding === undefined || encoding === "identity") return;
  const known = encodings.has(encoding);
  compressedStreams.set(stream, known);
  if (known) delete headers["grpc-encoding"];
}

/** Whether messages of the stream may be compressed. */
export function mayBeCompressed(stream: ServerHttp2Stream): boolean {
  return compressedStreams.has(stream);
}

/** UNIMPLEMENTED where the stream's messages are compressed by an encoding that is not known. */
export function checkEncoding(stream: ServerHttp2Stream): void {
  if (compressedStreams.get(stream) === false) {
    throw new KmsError(
      "UNIMPLEMENTED",
      "the grpc-encoding is not known: compress messages by gzip or deflate, or not at all",
    );
  }
}

/** Of a message that lies behind its head in the same memory, as grpc-js and the intake of a stream hand it over. */
export function isCompressed(message: Uint8Array): boolean {
  return new Uint8Array(message.buffer, message.byteOffset - headBytes, 1)[0] === 1;
}

const waiting: (() => void)[] = [];
let decompressing = 0;

/**
 * MESSAGE_TOO_LARGE for what becomes more than `maxBytes`, INVALID_ARGUMENT for what cannot be decompressed, OVERLOADED where too many wait, and
 * CANCELLED where nobody wants it any more when its turn comes.
 */
export async function decompress(
  message: Uint8Array,
  maxBytes: number,
  wanted: () => boolean,
  unzip: (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer> = gzipOrDeflate,
): Promise<Buffer> {
  if (waiting.length === maxWaiting) throw overloaded();
  if (decompressing === atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
  else decompressing += 1;
  try {
    if (!wanted()) throw callerLeft();
    const whole = await unzip(message, { maxOutputLength: maxBytes });
    return whole.length < smallBytes ? Buffer.from(whole) : whole;
  } catch (error) {
    throw error instanceof KmsError ? error : asRefusal(error, maxBytes);
  } finally {
    const next = waiting.shift();
    if (next === undefined) decompressing -= 1;
    else next();
  }
}

export function tooLarge(maxBytes: number): KmsError {
  return new KmsError("MESSAGE_TOO_LARGE", `a message is at most ${maxBytes} bytes`);
}

function notCompressed(cause: unknown): KmsError {
  const { violations, code, message } = invalidField(
    "request",
    "cannot be decompressed: compress it as its header says",
  );
  return new KmsError(code, message, { violations, cause });
}

/** Of health checks and reflection: small, and at once. Throws as `decompress` does. */
export function decompressNow(message: Buffer): Buffer {
  if (message.length > maxForeignBytes) throw tooLarge(maxForeignBytes);
  try {
    return unzipSync(message, { maxOutputLength: maxForeignBytes });
  } catch (error) {
    throw asRefusal(error, maxForeignBytes);
  }
}

function asRefusal(error: unknown, maxBytes: number): KmsError {
  const isLarge = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
  return isLarge ? tooLarge(maxBytes) : notCompressed(error);
}
