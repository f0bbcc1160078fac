/** The batch of a scenario with the attributes of its signatures on it. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Kms } from "@fluo/kms";
import {
  type KeyValue,
  type ResourceSpans,
  ResourceSpansSchema,
  SignMode,
  type SignSpansRequest,
  SignSpansRequestSchema,
} from "@fluo/kms/messages";
import { fromBase64 } from "./world.ts";

export function batchOf(text: string): ResourceSpans {
  return fromBinary(ResourceSpansSchema, fromBase64(text));
}

export function exportOf(...resourceSpans: ResourceSpans[]): Uint8Array {
  return toBinary(SignSpansRequestSchema, create(SignSpansRequestSchema, { resourceSpans }));
}

/** Signs by SignSpan, one by one. */
export async function signEach(kms: Pick<Kms, "signSpan">, tenantId: string, batch: string): Promise<ResourceSpans> {
  const whole = batchOf(batch);
  const { resource } = whole;
  for (const { scope, spans } of whole.scopeSpans)
    for (const span of spans) {
      const request = { tenantId, span, ...(resource && { resource }), ...(scope && { scope }) };
      const { attributes } = await kms.signSpan(request);
      span.attributes.push(...attributes);
    }
  return whole;
}

export interface Logged {
  indices: bigint[];
  attributes: KeyValue[][];
}

/** Signs by SignSpans in log mode, on a stream of its own. */
export async function signInLog(
  kms: Pick<Kms, "signSpans">,
  tenantId: string,
  { batch, requestId }: { batch: string; requestId: string },
): Promise<Logged> {
  const request: SignSpansRequest = create(SignSpansRequestSchema, {
    tenantId,
    resourceSpans: [batchOf(batch)],
    mode: SignMode.LOG,
    requestId,
    withAttributes: true,
  });
  async function* one() {
    yield request;
  }
  const logged: Logged = { indices: [], attributes: [] };
  for await (const { results } of kms.signSpans(one()))
    for (const { result } of results) {
      if (result.case !== "signed") throw new Error("a span was not signed");
      logged.indices.push(result.value.leafIndex ?? -1n);
      logged.attributes.push(result.value.attributes);
    }
  return logged;
}

export function withAttributes(batch: string, attributes: readonly KeyValue[][]): ResourceSpans {
  const whole = batchOf(batch);
  const spans = whole.scopeSpans.flatMap((each) => each.spans);
  if (spans.length !== attributes.length) throw new Error(`${attributes.length} results for ${spans.length} spans`);
  for (const [i, span] of spans.entries()) span.attributes.push(...attributes[i]!);
  return whole;
}
