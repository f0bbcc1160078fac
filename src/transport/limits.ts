/** Sizes that both transports allow. */
import { KmsError } from "../errors.ts";

/** Bytes of a message, whole and decompressed; of a request and of an answer. */
export const maxMessageBytes = 4 * 1024 * 1024;

/** Bytes of the headers of a request. */
export const maxHeaderBytes = 16 * 1024;

export function tooLarge(maxBytes: number): KmsError {
  return new KmsError("MESSAGE_TOO_LARGE", `a message is at most ${maxBytes} bytes`);
}
