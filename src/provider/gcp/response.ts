/**
 * What is in an answer of Cloud KMS, distrusted: what lacks the form or a checksum that Cloud KMS documents did not come from it, or not
 * whole, and is PROVIDER_UNAVAILABLE. https://cloud.google.com/kms/docs/data-integrity-guidelines
 */
import { plaintextIn } from "../plaintext-in.ts";
import { decodeBase64 } from "../../encoding/base64.ts";
import { crc32c } from "../../encoding/crc32c.ts";
import { distrusted } from "../distrust.ts";
import type { HttpAnswer } from "../http.ts";

export type GcpData = Readonly<Record<string, unknown>>;

/** The answer that is a success. */
export function dataOf({ body }: HttpAnswer): GcpData {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    throw distrusted("it is not JSON"); // a parser's message quotes what it read
  }
  return asData(value) ?? fail("it is no object");
}

/**
 * The bytes of `plaintext`, cut out before the rest is parsed, so that they never are a string; their checksum is in the rest. The caller
 * owns them. The answer is overwritten.
 */
export function takePlaintext(answer: HttpAnswer): Buffer {
  const { body } = answer;
  let plaintext: Buffer | undefined;
  try {
    const [start, end] = plaintextIn(body) ?? fail("it holds no plaintext");
    plaintext = decodeBase64(body.subarray(start, end));
    const rest = dataOf({ ...answer, body: Buffer.concat([body.subarray(0, start), body.subarray(end)]) });
    // The one that was found is the answer's own, or this is another answer than it seems.
    if (plaintext === undefined || rest.plaintext !== "") throw distrusted("it holds no plaintext");
    checkSum("the plaintext", plaintext, rest.plaintextCrc32c);
    return plaintext;
  } catch (error) {
    plaintext?.fill(0);
    throw error;
  } finally {
    body.fill(0);
  }
}

/** Base64 in a member that is no secret. */
export function bytesIn(data: GcpData, name: string): Buffer {
  const text = data[name];
  return (
    (typeof text === "string" ? decodeBase64(Buffer.from(text, "latin1")) : undefined) ?? fail(`it holds no ${name}`)
  );
}

/** An int64, which JSON of protobuf has as text: https://protobuf.dev/programming-guides/json/ */
export function checkSum(what: string, bytes: Uint8Array, answered: unknown): void {
  if (answered !== String(crc32c(bytes))) throw distrusted(`${what} does not fit its checksum`);
}

export function asData(value: unknown): GcpData | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as GcpData) : undefined;
}

function fail(what: string): never {
  throw distrusted(what);
}
