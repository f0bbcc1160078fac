/** What of OpenTelemetry's SDK the exporter uses. Its packages are optional peers, and loaded with the first export. */

/** A span of the SDK, as far as it is looked at here. */
export interface SdkSpan {
  readonly attributes: object;
}

/** An exporter of the SDK, of whichever version: `@opentelemetry/sdk-trace`, or `sdk-trace-base`. */
export interface SdkExporter<Span> {
  export(spans: Span[], resultCallback: (result: { code: number; error?: Error }) => void): void;
  shutdown(): Promise<void>;
  forceFlush?(): Promise<void>;
}

/** `ExportResultCode` of `@opentelemetry/core`. */
export const [succeeded, failed] = [0, 1];

export interface Otel {
  /** The spans as the bytes of an OTLP trace export. */
  serialize(spans: readonly unknown[]): Uint8Array;
  /** Calls `work` so that no instrumentation makes spans of what it does. */
  untraced<T>(work: () => T): T;
}

/** Rejects where a peer is not installed. */
export async function loadOtel(): Promise<Otel> {
  try {
    const [{ context }, { suppressTracing }, { ProtobufTraceSerializer }] = await Promise.all([
      import("@opentelemetry/api"),
      import("@opentelemetry/core"),
      import("@opentelemetry/otlp-transformer"),
    ]);
    return {
      serialize(spans) {
        const bytes = ProtobufTraceSerializer.serializeRequest(spans as never);
        if (bytes === undefined) throw new Error("the spans could not be encoded");
        return bytes;
      },
      untraced: (work) => context.with(suppressTracing(context.active()), work),
    };
  } catch (error) {
    const needed = "@opentelemetry/api, @opentelemetry/core and @opentelemetry/otlp-transformer";
    throw new Error(`the signing exporter needs ${needed}; install them`, { cause: error });
  }
}

/**
 * The span with attributes more. A copy: the SDK's own must not change once it has ended, nor this one while it waits, so lists that the
 * program gave are copied, too.
 */
export function withAttributes<Span extends SdkSpan>(span: Span, more: readonly (readonly [string, string])[]): Span {
  const attributes: Record<string, unknown> = { ...span.attributes, ...Object.fromEntries(more) };
  return Object.create(span, { attributes: { value: attributes, enumerable: true } });
}

/** The span as it is now: what the program may still change, because it gave lists and not copies of them, is copied. */
export function frozen<Span extends SdkSpan>(span: Span): Span {
  const isList = (value: unknown) => typeof value === "object" && value !== null;
  const holdsLists = Object.values(span.attributes).some(isList);
  if (!holdsLists) return span;
  return Object.create(span, { attributes: { value: structuredClone({ ...span.attributes }), enumerable: true } });
}
