/** Decompresses messages, a few at a time: each may become as large as a message may be, and takes a thread that others wait for. */
import { promisify } from "node:util";
import { unzip as unzipThen } from "node:zlib";
import { invalidField, KmsError } from "../errors.ts";
import { overloaded } from "./budget.ts";
import { callerLeft } from "./call-context.ts";
import { tooLarge } from "./limits.ts";

/** `unzip` tells which by the first bytes. */
const gzipOrDeflate = promisify(unzipThen);
/** Messages of the whole process that are decompressed at once. */
export const atOnce = 2;
/** Messages that wait for their turn: some seconds, if each becomes as large as it may. */
export const maxWaiting = 1_000;
/** What is smaller lies in memory that is many times as large. */
const smallBytes = 16 * 1024;

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
    throw error instanceof KmsError ? error : refusalOf(error, maxBytes);
  } finally {
    const next = waiting.shift();
    if (next === undefined) decompressing -= 1;
    else next();
  }
}

/** Why a message could not be decompressed, by what node:zlib threw. */
export function refusalOf(error: unknown, maxBytes: number): KmsError {
  const isLarge = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
  return isLarge ? tooLarge(maxBytes) : notCompressed(error);
}

function notCompressed(cause: unknown): KmsError {
  const { violations, code, message } = invalidField(
    "request",
    "cannot be decompressed: compress it as its header says",
  );
  return new KmsError(code, message, { violations, cause });
}
