/**
 * An exporter that signs: it wraps another one of OpenTelemetry's SDK, has each batch of spans signed, puts the attributes on the spans, and
 * hands them to the other. An exporter and no processor: a span is frozen when it ends, and `onEnd` must not wait.
 *
 * The SDK's processors drop a batch whose export failed. So this repeats by itself, in a bounded queue of its own, or without one until the
 * processor's time-out. A batch that was signed stays signed: what is repeated is the same. To the backend it promises at least once; in the
 * tenant's log a span has at most one entry for as long as the process lives. Spans in memory at a crash are lost.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { SignMode } from "../messages.ts";
import { type TenantOption, tenantOf } from "../tenant.ts";
import { refusalOf } from "./backend-refusal.ts";
import { type ExporterQueue, exporterQueue, type QueueLimits, type Sized } from "./exporter-queue.ts";
import type { GrpcChannel } from "./grpc-transport.ts";
import {
  failed,
  frozen,
  loadOtel,
  type Otel,
  observeWaiting,
  type SdkExporter,
  type SdkMeterProvider,
  type SdkProcessor,
  type SdkSpan,
  succeeded,
  withAttributes,
} from "./otel.ts";
import { idsOf, spanParts } from "./otlp-parts.ts";
import { createSpanSigner, type SpanBatch, type SpanRefusal, type SpanResult, type SpanSigner } from "./span-signer.ts";

/** Why spans did not arrive at the backend. */
export type LossCause =
  /** The queue was full for as long as an export may take. */
  | "queue-full"
  /** Without a queue: an export took too long. */
  | "timeout"
  /** The service or the backend refused the batch for good, or it could not be encoded. */
  | "rejected"
  /** The service would not sign, or the backend not take them, until they were too old. */
  | "undeliverable"
  /** The exporter was shut down before. */
  | "shutdown";

export type SigningExporterOptions<Span = unknown> = TenantOption & {
  /** `SignMode.LOG` by default. */
  mode?: SignMode;
  /** 20,000 spans and 64 MiB by default; null: each export waits until its spans are delivered. */
  queue?: Partial<QueueLimits> | null;
  /** The processor's export time-out, in milliseconds; 30,000 by default. */
  timeoutMs?: number;
  /**
   * A span that the service refuses, such as one with two attributes of one name, goes on without a signature and with the attribute
   * `fluo.kms.unsigned.reason` ("forward", the default), or not at all ("drop").
   */
  onRefused?: "forward" | "drop";
  /** Told of all spans that do not arrive, and why: what the service or the backend said, if one of them refused the spans. */
  onLost?: (cause: LossCause, spans: readonly Span[], why: string) => void;
  /** After so many milliseconds in the queue spans are given up; an hour by default. */
  deliveryAgeMs?: number;
  /** Takes a line for each loss and refusal, at most one in 10 s for each cause; `console.error` by default. */
  log?: (line: string) => void;
  /**
   * Reads the gauges `fluo.kms.exporter.waiting.spans` and `fluo.kms.exporter.waiting.bytes`, with the attribute `fluo.kms.tenant`; by
   * default the global one, as it is with the first export.
   */
  meterProvider?: SdkMeterProvider;
};

/** Counts of spans since the exporter was made. */
export interface ExporterStats {
  /** Taken by the backend, those that were forwarded without a signature among them. */
  delivered: number;
  /** Refused by the service one by one. */
  refused: number;
  /** Not delivered, by cause; causes without any are left out. */
  lost: Partial<Record<LossCause, number>>;
  /** Neither delivered nor lost yet: those in the queue or, without one, of the exports under way. */
  waitingSpans: number;
  /** What these take as OTLP messages. */
  waitingBytes: number;
}

export interface SigningExporter<Span> extends SdkExporter<Span>, AsyncDisposable {
  /** Takes no more, delivers what it can within `timeoutMs`, and shuts the other exporter down: as `await using` does. */
  shutdown(): Promise<void>;
  /** Shuts down within this time; resolves with how many spans were left, which are lost. */
  shutdown(timeoutMs: number): Promise<number>;
  /** Resolves when all that was exported before is delivered or lost. The SDK's batch processor does not call it: see `batchProcessor`. */
  forceFlush(): Promise<void>;
  /**
   * Returns the SDK's batch processor of this exporter with a flush that waits for delivery. The SDK's own hands the spans to the exporter,
   * and returns while they wait there. `forceFlush` here rejects if spans were lost, or were not delivered within `timeoutMs`; so does
   * `shutdown`, which shuts the exporter down in any case.
   *
   * ```ts
   * const processor = exporter.batchProcessor(new BatchSpanProcessor({ exporter }));
   * ```
   */
  batchProcessor<Processor extends SdkProcessor>(
    processor: Processor,
  ): Pick<Processor, keyof SdkProcessor & keyof Processor>;
  stats(): ExporterStats;
}

interface Item<Span> extends Sized {
  readonly spans: readonly Span[];
  /** Each keeps its request_id, whatever streams and tries it meets: its spans may be in the log. */
  readonly batches: readonly SpanBatch[];
  /** Ids of the spans, in the order of the batches. */
  readonly ids: readonly string[];
  readonly endsAt: number;
  /** Aborts when the item is given up. */
  readonly given: AbortController;
  /** Spans to hand on; once it is there, it stays. */
  signed?: Promise<Span[]>;
  /** How the last try failed. */
  trouble?: string | undefined;
}

const [firstBackoffMs, maxBackoffMs, maxRefusedBackoffMs] = [100, 5_000, 30_000];
const defaultQueue: QueueLimits = { spans: 20_000, bytes: 64 * 1024 * 1024 };
const logEveryMs = 10_000;
/** An exporter that never calls back would hold everything behind it. */
const hungMs = 60_000;
const reasonAttribute = "fluo.kms.unsigned.reason";

/**
 * Wraps `delegate`. The service is called by a stream of its own over the channel of `kms`, which stays the caller's to close:
 *
 * ```ts
 * const kms = createGrpcKms({ target: "kms.example.com:9000" });
 * const exporter = createSigningExporter(kms, new OTLPTraceExporter(), { tenantId: "acme" });
 * const provider = new TracerProvider({ spanProcessors: [new BatchSpanProcessor({ exporter })] });
 * ```
 */
export function createSigningExporter<Span extends SdkSpan>(
  kms: { channel: GrpcChannel },
  delegate: SdkExporter<Span>,
  options: SigningExporterOptions<Span>,
): SigningExporter<Span> {
  return new Exporter(kms, delegate, options) as object as SigningExporter<Span>;
}

class Exporter<Span extends SdkSpan> {
  readonly #delegate: SdkExporter<Span>;
  readonly #signer: SpanSigner;
  readonly #queue: ExporterQueue<Item<Span>> | undefined;
  readonly #options: Required<Pick<SigningExporterOptions<Span>, "timeoutMs" | "onRefused" | "deliveryAgeMs" | "log">> &
    Pick<SigningExporterOptions<Span>, "meterProvider"> & { tenantId: string };
  readonly #onLost: SigningExporterOptions<Span>["onLost"];
  readonly #stats: Omit<ExporterStats, "waitingSpans" | "waitingBytes"> = { delivered: 0, refused: 0, lost: {} };
  readonly #logged = new Map<string, number>();
  /** Exports that were not answered yet. */
  readonly #open = new Set<Promise<void>>();
  /** Items under way, without a queue. */
  readonly #direct = new Set<Item<Span>>();
  #otel: Promise<Otel> | undefined;
  #shutdown: Promise<number> | undefined;
  /** Whether the time of the shutdown is over: what is left is given up. */
  #isGivenUp = false;

  constructor(kms: { channel: GrpcChannel }, delegate: SdkExporter<Span>, options: SigningExporterOptions<Span>) {
    const { mode = SignMode.LOG, queue = {}, onLost, meterProvider } = options;
    const tenantId = tenantOf(options);
    const { timeoutMs = 30_000, onRefused = "forward", deliveryAgeMs = 3_600_000, log = defaultLog } = options;
    this.#delegate = delegate;
    this.#signer = createSpanSigner(kms, { tenantId, mode });
    this.#options = { tenantId, timeoutMs, onRefused, deliveryAgeMs, log, ...(meterProvider && { meterProvider }) };
    this.#onLost = onLost;
    if (queue !== null) {
      this.#queue = exporterQueue({ ...defaultQueue, ...queue });
      void this.#work(this.#queue);
    }
  }

  export(spans: Span[], resultCallback: (result: { code: number; error?: Error }) => void): void {
    const done = this.#export(spans).then(
      () => resultCallback({ code: succeeded }),
      (error: unknown) =>
        resultCallback({ code: failed, error: error instanceof Error ? error : new Error(String(error)) }),
    );
    const open = done.catch(() => {});
    this.#open.add(open);
    void open.then(() => this.#open.delete(open));
  }

  async forceFlush(): Promise<void> {
    await Promise.all([...this.#open]);
    await this.#queue?.passed();
  }

  batchProcessor<Processor extends SdkProcessor>(
    processor: Processor,
  ): Pick<Processor, keyof SdkProcessor & keyof Processor> {
    const own = processor as SdkProcessor;
    const flushing: SdkProcessor = {
      onStart: (span, context) => own.onStart(span, context),
      ...(own.onEnding && { onEnding: (span) => own.onEnding?.(span) }),
      onEnd: (span) => own.onEnd(span),
      forceFlush: () => this.#lossless(() => own.forceFlush(), this.#options.timeoutMs),
      shutdown: () => this.#lossless(() => own.shutdown().finally(() => this.shutdown())),
    };
    return flushing as Pick<Processor, keyof SdkProcessor & keyof Processor>;
  }

  /** Awaits `handOn`, even if it fails, and then delivery. Rejects if spans were lost meanwhile, or still wait after the time. */
  async #lossless(handOn: () => Promise<unknown>, timeoutMs?: number): Promise<void> {
    const lostBefore = this.#lostSpans();
    const handedOn = handOn();
    const delivered = handedOn.catch(() => {}).then(() => this.forceFlush());
    const isInTime = timeoutMs === undefined ? delivered.then(() => true) : withinTime(timeoutMs, delivered);
    const isDelivered = await isInTime;
    const lost = this.#lostSpans() - lostBefore;
    if (lost > 0) throw new Error(`${lost} spans were lost; onLost and the log say why`);
    if (!isDelivered) throw new Error(`${this.#waiting().spans} spans were not delivered within ${timeoutMs} ms`);
    await handedOn;
  }

  #lostSpans(): number {
    return Object.values(this.#stats.lost).reduce((sum, spans) => sum + spans, 0);
  }

  stats(): ExporterStats {
    const { spans, bytes } = this.#waiting();
    return { ...this.#stats, lost: { ...this.#stats.lost }, waitingSpans: spans, waitingBytes: bytes };
  }

  #waiting(): QueueLimits {
    if (this.#queue !== undefined) return this.#queue.held();
    let [spans, bytes] = [0, 0];
    for (const item of this.#direct) {
      spans += item.spans.length;
      bytes += item.bytes;
    }
    return { spans, bytes };
  }

  shutdown(timeoutMs: number = this.#options.timeoutMs): Promise<number> {
    this.#shutdown ??= this.#end(timeoutMs);
    return this.#shutdown;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  async #export(given: Span[]): Promise<void> {
    if (given.length === 0) return;
    if (this.#shutdown !== undefined) {
      this.#lose("shutdown", given, shutDown.message);
      throw new Error(shutDown.message);
    }
    const { timeoutMs, deliveryAgeMs } = this.#options;
    const [spans, startedAt] = [given.map(frozen), Date.now()];
    const item = await this.#itemOf(spans, startedAt + (this.#queue === undefined ? timeoutMs : deliveryAgeMs));
    if (this.#queue === undefined) return this.#deliverDirectly(item);
    const place = await within(timeoutMs, (signal) => this.#queue!.put(item, signal));
    if (place === "placed") return;
    const why = place === "full" ? `the queue was full for ${timeoutMs} ms` : shutDown.message;
    this.#lose(place === "full" ? "queue-full" : "shutdown", spans, why);
    throw new Error(why);
  }

  async #itemOf(spans: Span[], endsAt: number): Promise<Item<Span>> {
    try {
      this.#otel ??= this.#loaded();
      const bytes = (await this.#otel).serialize(spans);
      const [batches, ids] = [this.#signer.split(bytes), spanParts(bytes).map(idsOf)];
      return { spans, batches, ids, bytes: bytes.length, endsAt, given: new AbortController() };
    } catch (error) {
      this.#lose("rejected", spans, (error as Error).message);
      throw error;
    }
  }

  async #loaded(): Promise<Otel> {
    const otel = await loadOtel();
    const { tenantId, meterProvider = otel.meterProvider() } = this.#options;
    observeWaiting(meterProvider, tenantId, () => this.#waiting());
    return otel;
  }

  async #deliverDirectly(item: Item<Span>): Promise<void> {
    this.#direct.add(item);
    if (this.#isGivenUp) item.given.abort(shutDown);
    try {
      item.signed = this.#signed(item);
      const isDelivered = await this.#deliver(item, "timeout");
      if (!isDelivered) throw new Error("the spans were not signed and delivered");
    } finally {
      this.#direct.delete(item);
    }
  }

  /** Signs one after the other, as many at once as the signer takes, and delivers in the same order beside it. */
  async #work(queue: ExporterQueue<Item<Span>>): Promise<void> {
    let last: Promise<unknown> = Promise.resolve();
    for await (const item of queue.items()) {
      const { promise: isTaken, resolve: taken } = Promise.withResolvers<void>();
      item.signed = this.#signed(item, taken);
      const before = last;
      last = (async () => {
        await before;
        await this.#deliver(item, "undeliverable");
        queue.leave(item);
      })();
      await isTaken;
    }
  }

  /** True where the backend has them; else they are counted as lost. Never rejects. */
  async #deliver(item: Item<Span>, cause: LossCause): Promise<boolean> {
    const timer = setTimeout(() => item.given.abort(new Error("given up")), Math.max(0, item.endsAt - Date.now()));
    timer.unref();
    let { spans } = item;
    try {
      const signed = await item.signed!;
      spans = signed;
      if (signed.length > 0) await this.#handOnUntilTaken(item, signed);
      this.#stats.delivered += signed.length;
      return true;
    } catch (error) {
      const isRejected = error instanceof RejectedError;
      const { signal } = item.given;
      const { message } = (isRejected || !signal.aborted ? error : signal.reason) as Error;
      const why = isRejected || item.trouble === undefined ? message : `${message}: ${item.trouble}`;
      this.#lose(isRejected ? "rejected" : this.#isEnding(item) ? "shutdown" : cause, spans, why);
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  #isEnding(item: Item<Span>): boolean {
    return item.given.signal.reason === shutDown;
  }

  /** Tries until the backend takes them or refuses them for good, or the item is given up. */
  async #handOnUntilTaken(item: Item<Span>, spans: Span[]): Promise<void> {
    const { signal } = item.given;
    item.trouble = undefined;
    for (let backoffMs = firstBackoffMs; ; backoffMs = Math.min(2 * backoffMs, maxBackoffMs)) {
      signal.throwIfAborted();
      try {
        return await this.#handOn(spans, signal);
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal !== undefined) throw new RejectedError(refusal, { cause: error });
        signal.throwIfAborted();
        item.trouble = `the backend does not take spans: ${(error as Error).message}`;
        this.#log("delivery", `${item.trouble}; it is tried again`);
      }
      await delay(backoffMs, undefined, { signal, ref: true });
    }
  }

  /** Resolves once the other exporter has delivered the spans. When `signal` aborts before, they may still arrive. */
  async #handOn(spans: Span[], signal: AbortSignal): Promise<void> {
    const { untraced } = await this.#otel!;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const aborted = () => reject(signal.reason);
    const timer = setTimeout(() => reject(new Error("the exporter did not call back")), hungMs);
    signal.addEventListener("abort", aborted, { once: true });
    try {
      untraced(() =>
        this.#delegate.export(spans, ({ code, error }) => {
          if (code === succeeded) resolve();
          else reject(error ?? new Error("the export failed"));
        }),
      );
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
    }
  }

  /** The spans with their attributes. `taken` is called once all are on their way, or are not going to be. */
  async #signed(item: Item<Span>, taken = () => {}): Promise<Span[]> {
    const signed = this.#results(item, taken).then((results) => this.#attach(item, results));
    signed.catch(() => {});
    try {
      return await signed;
    } finally {
      taken();
    }
  }

  async #results(item: Item<Span>, taken: () => void): Promise<SpanResult[]> {
    const results: Promise<SpanResult[]>[] = [];
    for (const batch of item.batches) {
      const { promise: onItsWay, resolve: isTaken } = Promise.withResolvers<void>();
      const one = this.#signBatch(item, batch, isTaken);
      one.then(
        () => isTaken(),
        () => isTaken(),
      );
      results.push(one);
      await onItsWay;
    }
    taken();
    return (await Promise.all(results)).flat();
  }

  async #signBatch(item: Item<Span>, batch: SpanBatch, taken: () => void): Promise<SpanResult[]> {
    const { signal } = item.given;
    const { untraced } = await this.#otel!;
    for (let backoffMs = firstBackoffMs; ; backoffMs = Math.min(2 * backoffMs, maxRefusedBackoffMs)) {
      signal.throwIfAborted();
      try {
        const { results } = await untraced(() => this.#signer.signBatch(batch, { signal }));
        taken();
        return await results;
      } catch (error) {
        if (signal.aborted) throw error;
        const isOfBatch = error instanceof ConnectError && rejections.includes(error.code);
        if (isOfBatch) throw new RejectedError(error.message, { cause: error });
        item.trouble = `the service does not sign: ${(error as Error).message}`;
        this.#log("signing", `${item.trouble}; it is asked again`);
      }
      await delay(backoffMs, undefined, { signal, ref: true });
    }
  }

  /** The encoder groups spans by resource and scope, so results are found by the spans' ids. */
  #attach({ spans, ids }: Item<Span>, results: readonly SpanResult[]): Span[] {
    const byIds = Map.groupBy(
      ids.map((each, i) => ({ ids: each, result: results[i]! })),
      (each) => each.ids,
    );
    return spans.flatMap((span) => {
      const ids = (span as unknown as { spanContext(): { traceId: string; spanId: string } }).spanContext();
      const result = byIds.get(`${ids.traceId}/${ids.spanId}`)?.shift()?.result;
      if (result === undefined)
        throw new Error("the spans were not encoded one by one; look at the versions of OpenTelemetry");
      if ("attributes" in result) return withAttributes(span, result.attributes);
      return this.#refuse(span, result);
    });
  }

  #refuse(span: Span, { code, field, message }: SpanRefusal): Span[] {
    this.#stats.refused += 1;
    const reason = [Code[code], field, message].filter((part) => part !== "").join(": ");
    this.#log("refused", `a span was not signed: ${reason}`);
    if (this.#options.onRefused === "forward") return [withAttributes(span, [[reasonAttribute, reason]])];
    this.#lose("rejected", [span], reason);
    return [];
  }

  #lose(cause: LossCause, spans: readonly Span[], why: string): void {
    const { lost } = this.#stats;
    lost[cause] = (lost[cause] ?? 0) + spans.length;
    this.#log(cause, `${spans.length} spans are lost (${cause}): ${why}`);
    try {
      this.#onLost?.(cause, spans, why);
    } catch (thrown) {
      this.#log("callback", `onLost threw: ${(thrown as Error).message}`);
    }
  }

  #log(about: string, line: string): void {
    const now = Date.now();
    if (now - (this.#logged.get(about) ?? Number.NEGATIVE_INFINITY) < logEveryMs) return;
    this.#logged.set(about, now);
    this.#options.log(`fluo-kms: ${line}`);
  }

  async #end(timeoutMs: number): Promise<number> {
    const until = performance.now() + timeoutMs;
    const isFlushed = await withinTime(timeoutMs, this.forceFlush());
    if (!isFlushed) {
      this.#isGivenUp = true;
      for (const item of [...(this.#queue?.waiting() ?? []), ...this.#direct]) item.given.abort(shutDown);
      this.#queue?.end();
      await this.forceFlush();
    }
    this.#queue?.end();
    const closed = new AbortController();
    closed.abort(new Error("the exporter is shut down"));
    await this.#signer.close({ signal: closed.signal });
    // It may go on to repeat what it has begun, for as long again.
    await withinTime(Math.max(until - performance.now(), 1_000), this.#delegate.shutdown());
    return this.#stats.lost.shutdown ?? 0;
  }
}

/** A batch that would be refused again. */
class RejectedError extends Error {
  override readonly name = "RejectedError";
}

const rejections: readonly Code[] = [Code.InvalidArgument, Code.AlreadyExists];
const shutDown = new Error("the exporter is shut down");

function defaultLog(line: string): void {
  // biome-ignore lint/suspicious/noConsole: evidence that is lost must be seen where nobody listens
  console.error(line);
}

/** `work` with a signal that aborts after the time. */
async function within<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), ms);
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether it settled within the time. */
async function withinTime(ms: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const done = work.then(
    () => true,
    () => true,
  );
  const isDone = await Promise.race([done, late]);
  clearTimeout(timer);
  return isDone;
}
