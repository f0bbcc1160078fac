/** Spans as messages, with ids of their own. */
import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { type ResourceSpans, ResourceSpansSchema } from "../src/messages.ts";

export function madeSpans(count: number, name = "s"): ResourceSpans {
  return create(ResourceSpansSchema, {
    scopeSpans: [
      {
        scope: { name: "tests" },
        spans: Array.from({ length: count }, (_, i) => ({
          traceId: randomBytes(16),
          spanId: randomBytes(8),
          name: `${name}-${i}`,
        })),
      },
    ],
  });
}

/** A span that the service refuses alone. */
export function badSpan(): ResourceSpans {
  const bad = madeSpans(1);
  bad.scopeSpans[0]!.spans[0]!.traceId = new Uint8Array(16);
  return bad;
}
