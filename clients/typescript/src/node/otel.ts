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

/** A span processor of the SDK, of whichever version. */
export interface SdkProcessor {
  onStart(span: never, context: never): void;
  onEnding?(span: never): void;
  onEnd(span: never): void;
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}

/** `ExportResultCode` of `@opentelemetry/core`. */
export const [succeeded, failed] = [0, 1];

/** The part of OpenTelemetry's MeterProvider that is used, of whichever version. */
export interface SdkMeterProvider {
  getMeter(name: string): {
    createObservableGauge(
      name: string,
      options: { description: string; unit: string },
    ): { addCallback(callback: (result: SdkGaugeResult) => void): void };
  };
}

interface SdkGaugeResult {
  observe(value: number, attributes: Record<string, string>): void;
}

export interface Otel {
  /** The spans as the bytes of an OTLP trace export. */
  serialize(spans: readonly unknown[]): Uint8Array;
  /** Calls `work` so that no instrumentation makes spans of what it does. */
  untraced<T>(work: () => T): T;
  /** The global one as it is now. */
  meterProvider(): SdkMeterProvider;
}

/** Rejects where a peer is not installed. */
export async function loadOtel(): Promise<Otel> {
  try {
    const [{ context, metrics }, { suppressTracing }, { ProtobufTraceSerializer }] = await Promise.all([
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
      meterProvider: () => metrics.getMeterProvider(),
    };
  } catch (error) {
    const needed = "@opentelemetry/api, @opentelemetry/core and @opentelemetry/otlp-transformer";
    throw new Error(`the signing exporter needs ${needed}; install them`, { cause: error });
  }
}

/**
 * Registers gauges of what waits in an exporter. They stay, and are 0 after its shutdown: the SDK would report the last value of a
 * gauge whose callback was removed.
 */
export function observeWaiting(
  provider: SdkMeterProvider,
  tenantId: string,
  waiting: () => { spans: number; bytes: number },
): void {
  const meter = provider.getMeter("@fluo/kms");
  const attributes = { "fluo.kms.tenant": tenantId };
  const spans = meter.createObservableGauge("fluo.kms.exporter.waiting.spans", {
    description: "Spans that a signing exporter has neither delivered nor lost yet",
    unit: "{span}",
  });
  spans.addCallback((result) => result.observe(waiting().spans, attributes));
  const bytes = meter.createObservableGauge("fluo.kms.exporter.waiting.bytes", {
    description: "What the spans that wait in a signing exporter take as OTLP messages",
    unit: "By",
  });
  bytes.addCallback((result) => result.observe(waiting().bytes, attributes));
}

/** The span with attributes more. A copy: what the SDK gave must not change. */
export function withAttributes<Span extends SdkSpan>(span: Span, more: readonly (readonly [string, string])[]): Span {
  return copied(span, { ...span.attributes, ...Object.fromEntries(more) });
}

/** The span as it is now: what the program may still change, because it gave lists and not copies of them, is copied. */
export function frozen<Span extends SdkSpan>(span: Span): Span {
  const holdsLists = Object.values(span.attributes).some((value) => typeof value === "object" && value !== null);
  if (!holdsLists) return span;
  const attributes: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(span.attributes)) {
    const own = { value: copyOf(value), writable: true, enumerable: true, configurable: true };
    Object.defineProperty(attributes, key, own);
  }
  return copied(span, attributes);
}

/** What exporters read of a span, in the SDK's versions 1 to 3: members, methods and getters alike. */
const members = [
  ...["name", "kind", "parentSpanContext", "parentSpanId", "startTime", "endTime", "status", "links", "events"],
  ...["duration", "ended", "resource", "instrumentationScope", "instrumentationLibrary"],
  ...["droppedAttributesCount", "droppedEventsCount", "droppedLinksCount"],
] as const;

/** No `Object.create` of the span: objects that are prototypes are slow to read, which doubled the costs of an export. */
function copied<Span extends SdkSpan>(span: Span, attributes: object): Span {
  const from = span as unknown as { spanContext(): unknown } & Record<string, unknown>;
  const context = from.spanContext();
  const copy: Record<string, unknown> = { spanContext: () => context, attributes };
  for (const member of members) if (member in from) copy[member] = from[member];
  return copy as unknown as Span;
}

function copyOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf);
  if (value instanceof Uint8Array) return value.slice();
  return structuredClone(value);
}
