/**
 * What is in an answer of Cloud KMS, distrusted: what lacks the form or a checksum that Cloud KMS documents did not come from it, or not
 * whole, and is PROVIDER_UNAVAILABLE. https://cloud.google.com/kms/docs/data-integrity-guidelines
 */
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
    const [start, end] = plaintextIn(body);
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

const plaintextName = Buffer.from('"plaintext"');
const colon = ":".charCodeAt(0);
const quote = '"'.charCodeAt(0);
const space = " ".charCodeAt(0);

/** From behind the opening quote to the closing one. */
function plaintextIn(body: Buffer): [start: number, end: number] {
  const skipSpace = (from: number) => {
    let at = from;
    while (body[at] === space) at += 1;
    return at;
  };
  const name = body.indexOf(plaintextName);
  const separator = skipSpace(name + plaintextName.length);
  const opening = skipSpace(separator + 1);
  const end = body.indexOf(quote, opening + 1);
  if (name < 0 || body[separator] !== colon || body[opening] !== quote || end < 0) fail("it holds no plaintext");
  return [opening + 1, end];
}
