/** Key sets in files: of an issuer that cannot be reached, or a bundle that an agent keeps up to date. */
import { readFile } from "node:fs/promises";
import { type JsonError, readJson } from "../../encoding/json.ts";

export const maxKeySetBytes = 256 * 1024;

export function fileSource(file: string): (signal: AbortSignal) => Promise<unknown> {
  return async (signal) => {
    const text = await readFile(file, { encoding: "utf8", signal });
    try {
      return keySetIn(text);
    } catch (error) {
      throw new Error(`${file} ${(error as Error).message}`);
    }
  };
}

/** The JSON of a file. Throws an error for the log. */
export function keySetIn(text: string): unknown {
  if (text.length > maxKeySetBytes) throw new Error(`is longer than ${maxKeySetBytes} bytes`);
  try {
    return readJson(text);
  } catch (error) {
    throw new Error((error as JsonError).message);
  }
}
