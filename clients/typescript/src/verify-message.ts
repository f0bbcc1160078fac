/** The offline verifier for messages: they are written as bytes, with the fields that they do not know, and those are judged. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type ResourceSpans, ResourceSpansSchema, VerifySpanRequestSchema } from "./messages.ts";
import { type KeySet, type Verdict, verifyExport, verifyRequest } from "./verify.ts";

/** Verifies a VerifySpanRequest as the service would, by these keys. Its tenant is who must have signed. */
export function verifySpan(keys: KeySet, request: MessageInitShape<typeof VerifySpanRequestSchema>): Promise<Verdict> {
  return verifyRequest(keys, toBinary(VerifySpanRequestSchema, create(VerifySpanRequestSchema, request)));
}

/** Verifies each span of the messages by its attributes. `tenant` is who must have signed; without it, whom each span names. */
export async function verifyResourceSpans(
  keys: KeySet,
  resourceSpans: readonly ResourceSpans[],
  tenant?: string,
): Promise<Verdict[]> {
  const verdicts: Verdict[][] = [];
  for (const each of resourceSpans) verdicts.push(await verifyExport(keys, asExport(each), tenant));
  return verdicts.flat();
}

function asExport(resourceSpans: ResourceSpans): Uint8Array {
  const bytes = toBinary(ResourceSpansSchema, resourceSpans);
  const head = [10];
  let rest = bytes.length;
  for (; rest > 127; rest = Math.floor(rest / 128)) head.push((rest % 128) + 128);
  const whole = new Uint8Array(head.length + 1 + bytes.length);
  whole.set([...head, rest]);
  whole.set(bytes, head.length + 1);
  return whole;
}
