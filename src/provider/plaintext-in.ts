/** Where a secret lies in the JSON of a response: it is decoded from the bytes there, so that it never becomes a string. */

const name = Buffer.from('"plaintext"');
const colon = ":".charCodeAt(0);
const quote = '"'.charCodeAt(0);
const space = " ".charCodeAt(0);

/** Offsets of the text of the member `plaintext`, without its quotes; undefined if there is none. */
export function plaintextIn(body: Buffer): [start: number, end: number] | undefined {
  const skipSpace = (from: number) => {
    let at = from;
    while (body[at] === space) at += 1;
    return at;
  };
  const found = body.indexOf(name);
  const separator = skipSpace(found + name.length);
  const opening = skipSpace(separator + 1);
  const end = body.indexOf(quote, opening + 1);
  if (found < 0 || body[separator] !== colon || body[opening] !== quote || end < 0) return undefined;
  return [opening + 1, end];
}
