/** A span that SignSpan signed, as a DSSE envelope. */
import type { SignedLog } from "./signed-log.ts";
import { numberedSpan } from "../support/span-batches.ts";

export async function signedEnvelope({ client, tenantId }: SignedLog) {
  const { statement, signature, keyId } = await client.signSpan({ tenantId, span: numberedSpan(1) });
  const { keys } = await client.getPublicKeys({ tenantId });
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  return {
    keyId,
    statement: Buffer.from(statement).toString(),
    publicKey: keys.find((key) => key.keyId === keyId)!.raw,
    envelope: {
      payloadType: "application/vnd.in-toto+json",
      payload: base64(statement),
      signatures: [{ keyid: keyId, sig: base64(signature) }],
    },
  };
}

type Envelope = Awaited<ReturnType<typeof signedEnvelope>>["envelope"];

/** Each with one thing changed: a byte of the payload or of the signature, the type, the signature left out. */
export function alteredEnvelopes(envelope: Envelope): Envelope[] {
  const [{ keyid, sig }] = envelope.signatures as [Envelope["signatures"][0]];
  return [
    { ...envelope, payload: flipped(envelope.payload) },
    { ...envelope, signatures: [{ keyid, sig: flipped(sig) }] },
    { ...envelope, payloadType: "application/json" },
    { ...envelope, signatures: [] },
  ];
}

function flipped(base64: string): string {
  const bytes = Buffer.from(base64, "base64");
  bytes[20]! ^= 1;
  return bytes.toString("base64");
}
