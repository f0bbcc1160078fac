/** The offline verifier for messages: they are written as bytes, with the fields that they do not know, and those are judged. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type ResourceSpans, SignSpansRequestSchema, VerifySpanRequestSchema } from "./messages.ts";
import { type KeySet, type Verdict, verifyExport, verifyRequest } from "./verify.ts";

/** Verifies a VerifySpanRequest as the service would, by these keys. Its tenant is who must have signed. */
export function verifySpan(keys: KeySet, request: MessageInitShape<typeof VerifySpanRequestSchema>): Promise<Verdict> {
  return verifyRequest(keys, toBinary(VerifySpanRequestSchema, create(VerifySpanRequestSchema, request)));
}

/** Verifies each span of the messages by its attributes. `tenant` is who must have signed; without it, whom each span names. */
export function verifyResourceSpans(
  keys: KeySet,
  resourceSpans: readonly ResourceSpans[],
  tenant?: string,
): Promise<Verdict[]> {
  // Its first field is that of an export.
  const request = create(SignSpansRequestSchema, { resourceSpans: [...resourceSpans] });
  return verifyExport(keys, toBinary(SignSpansRequestSchema, request), tenant);
}
