/**
 * Signs batches of spans over one SignSpans stream, in their order. A stream that breaks is opened again, and what it did not answer goes
 * over the new one, in its first order, each batch with the request_id and the bytes that it had: in log mode it then gets the places that
 * it may already have. So does a batch that failed and is given to `signBatch` again.
 */
import { randomBytes } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { detailsOf } from "../error-details.ts";
import { type ResourceSpans, ResourceSpansSchema, SignMode, type SignSpansResponse } from "../messages.ts";
import { type TenantOption, tenantOf } from "../tenant.ts";
import type { GrpcChannel } from "./grpc-transport.ts";
import { field, spanParts } from "./otlp-parts.ts";
import { batchesOf, type SpanBatch } from "./span-batches.ts";
import {
  isPassing,
  openSpanStream,
  resultsOf,
  type SpanRefusal,
  type SpanResult,
  type SpanStream,
} from "./span-stream.ts";

export type { SpanBatch } from "./span-batches.ts";
export type { SpanRefusal, SpanResult } from "./span-stream.ts";

export type SpanSignerOptions = TenantOption & {
  /** `SignMode.LOG` by default: each span becomes an entry of the tenant's log. */
  mode?: SignMode;
  /** Batches on their way at once; 4 by default. */
  maxUnanswered?: number;
};

/** Spans that the signer took. */
export interface Signing {
  /**
   * One result a span, in order. Rejects with a ConnectError where the service refused a batch of them whole or did not answer it within
   * 23 hours, and where the client was closed before; a span that is refused alone is a result.
   */
  readonly results: Promise<SpanResult[]>;
}

export interface SpanSigner extends AsyncDisposable {
  /**
   * Takes spans: the bytes of an OTLP trace export, or messages. Resolves once they are on their way, which waits while `maxUnanswered`
   * batches are: await it, and no more is held in memory. More than 1,000 spans or 1 MiB are several batches. After an abort the results
   * reject at once; what was sent may still be signed.
   */
  sign(spans: Uint8Array | readonly ResourceSpans[], options?: { signal?: AbortSignal }): Promise<Signing>;
  /** The batches that `sign` makes of spans, for those who want to know the fate of each. */
  split(spans: Uint8Array | readonly ResourceSpans[]): readonly SpanBatch[];
  /** Does as `sign` does with one batch of `split`. Signed again after it failed, it gets the same places in a log, within 23 hours. */
  signBatch(batch: SpanBatch, options?: { signal?: AbortSignal }): Promise<Signing>;
  /** Resolves when nothing is unanswered. */
  flush(): Promise<void>;
  /** Takes no more, waits for what is unanswered, and ends the stream: as `await using` does. After an abort what is unanswered fails. */
  close(options?: { signal?: AbortSignal }): Promise<void>;
}

/** A batch that was taken and has no whole answer. */
interface Unanswered {
  batch: SpanBatch;
  results: SpanResult[];
  isSent: boolean;
  isAbandoned: boolean;
  resolve(results: SpanResult[]): void;
  reject(error: unknown): void;
}

const [firstBackoffMs, maxBackoffMs] = [100, 5_000];
/** The service remembers a request_id for 24 hours. Later, the same batch would get other places. */
const maxAgeMs = 23 * 3_600_000;
/** When a batch was first taken, in milliseconds since 1970. */
const takenAt = new WeakMap<SpanBatch, number>();
/** A stream on which nothing moves for a minute is ended by the service. Until then it would keep the process alive. */
const idleMs = 10_000;

export function createSpanSigner({ channel }: { channel: GrpcChannel }, options: SpanSignerOptions): SpanSigner {
  return new Signer(channel, options);
}

class Signer implements SpanSigner {
  readonly #channel: GrpcChannel;
  readonly #terms: { tenantId: string; mode: SignMode };
  readonly #maxUnanswered: number;
  /** Begins the request_id of each batch. */
  readonly #run = randomBytes(12).toString("hex");
  #batches = 0;
  /** In their first order. */
  #unanswered: Unanswered[] = [];
  /** How many of `#unanswered` this stream was sent. */
  #sent = 0;
  #stream: SpanStream | undefined;
  /** From the moment that a stream is wanted until it has ended. */
  #isOpen = false;
  #backoffMs = firstBackoffMs;
  #wait: { timer: NodeJS.Timeout; over: () => void } | undefined;
  #idle: NodeJS.Timeout | undefined;
  /** Whether a fresh token was tried since the last answer. */
  #hasRenewed = false;
  #isClosed = false;
  /** Resolves when the calls of `sign` before have been taken: what was given first is signed first. */
  #turn: Promise<void> = Promise.resolve();
  /** Called whenever a batch leaves. */
  #waiting = new Set<() => void>();

  constructor(channel: GrpcChannel, { mode = SignMode.LOG, maxUnanswered = 4, ...tenant }: SpanSignerOptions) {
    this.#channel = channel;
    this.#terms = { tenantId: tenantOf(tenant), mode };
    this.#maxUnanswered = maxUnanswered;
  }

  split(spans: Uint8Array | readonly ResourceSpans[]): readonly SpanBatch[] {
    const bytes = spans instanceof Uint8Array ? spans : encoded(spans);
    return batchesOf(spanParts(bytes), { ...this.#terms, nextRequestId: () => `${this.#run}.${this.#batches++}` });
  }

  async sign(spans: Uint8Array | readonly ResourceSpans[], options: { signal?: AbortSignal } = {}): Promise<Signing> {
    return this.#signAll(this.split(spans), options);
  }

  async signBatch(batch: SpanBatch, options: { signal?: AbortSignal } = {}): Promise<Signing> {
    return this.#signAll([batch], options);
  }

  async #signAll(batches: readonly SpanBatch[], { signal }: { signal?: AbortSignal }): Promise<Signing> {
    const results: Promise<SpanResult[]>[] = [];
    const [before, { promise, resolve }] = [this.#turn, Promise.withResolvers<void>()];
    this.#turn = promise;
    try {
      await unlessAborted(before, signal);
      for (const batch of batches) {
        if (batch.isTooLarge) results.push(Promise.resolve([tooLarge]));
        else results.push((await this.#taken(batch, signal)).results);
      }
    } finally {
      // Who gave up before its turn takes nobody's.
      void before.then(resolve);
    }
    const all = Promise.allSettled(results).then((settled) =>
      settled.flatMap((each) => {
        if (each.status === "rejected") throw each.reason;
        return each.value;
      }),
    );
    // Whoever drops the results has no unhandled rejection.
    all.catch(() => {});
    return { results: all };
  }

  async #taken(batch: SpanBatch, signal: AbortSignal | undefined): Promise<Signing> {
    while (this.#unanswered.length >= this.#maxUnanswered && !this.#isClosed) await this.#change(signal);
    signal?.throwIfAborted();
    if (this.#isClosed) throw new Error("the span signer is closed");
    if (!takenAt.has(batch)) takenAt.set(batch, Date.now());
    const { promise, resolve, reject } = Promise.withResolvers<SpanResult[]>();
    promise.catch(() => {});
    if (isOld(batch)) {
      reject(expired());
      return { results: promise };
    }
    const added: Unanswered = { batch, results: [], isSent: false, isAbandoned: false, resolve, reject };
    const abandon = () => {
      added.isAbandoned = true;
      added.reject(signal?.reason);
      if (!added.isSent) this.#remove(added);
    };
    signal?.addEventListener("abort", abandon, { once: true });
    const forget = () => signal?.removeEventListener("abort", abandon);
    promise.then(forget, forget);
    this.#unanswered.push(added);
    this.#send();
    return { results: promise };
  }

  async flush(): Promise<void> {
    while (this.#unanswered.some(({ isAbandoned }) => !isAbandoned)) await this.#change();
  }

  async close({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    this.#isClosed = true;
    this.#changed();
    const giveUp = () => {
      for (const each of this.#unanswered) each.reject(signal?.reason);
      this.#unanswered = [];
      this.#changed();
    };
    if (signal?.aborted) giveUp();
    signal?.addEventListener("abort", giveUp, { once: true });
    await this.flush();
    signal?.removeEventListener("abort", giveUp);
    this.#unanswered = [];
    clearTimeout(this.#idle);
    this.#wait?.over();
    if (signal?.aborted) this.#stream?.cancel();
    else this.#stream?.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Sends what the stream was not sent, and opens one where there is none. */
  #send(): void {
    clearTimeout(this.#idle);
    if (this.#stream === undefined) {
      if (!this.#isOpen && this.#unanswered.length > 0) void this.#open();
      return;
    }
    for (; this.#sent < this.#unanswered.length; this.#sent += 1) {
      const next = this.#unanswered[this.#sent]!;
      next.isSent = true;
      this.#stream.send(next.batch.message);
    }
  }

  async #open(): Promise<void> {
    this.#isOpen = true;
    this.#sent = 0;
    this.#dropOld();
    for (const each of this.#unanswered) each.results = [];
    let isCurrent = true;
    try {
      const stream = await openSpanStream(this.#channel, {
        answered: (response) => {
          if (isCurrent && !this.#answer(response)) {
            isCurrent = false;
            stream.cancel();
            this.#ended(undefined, 0);
          }
        },
        unreadable: (error) => {
          if (!isCurrent) return;
          isCurrent = false;
          stream.cancel();
          const message = "the service sent what is no SignSpansResponse; look at its version";
          this.#ended(new ConnectError(message, Code.DataLoss, undefined, undefined, error), 0);
        },
        ended: (error) => {
          if (!isCurrent) return;
          isCurrent = false;
          this.#ended(error);
        },
      });
      if (!isCurrent) return;
      this.#stream = stream;
      this.#send();
      if (this.#unanswered.length === 0) this.#startIdle();
    } catch (error) {
      isCurrent = false;
      if (this.#channel.closed.aborted) {
        this.#failAll(ConnectError.from(error, Code.Canceled));
        this.#ended(undefined, 0);
        return;
      }
      // No token: those who renew it may have it later.
      this.#ended(new ConnectError((error as Error).message, Code.Unavailable, undefined, undefined, error));
    }
  }

  /** False where the service answered something else than it was asked. */
  #answer(response: SignSpansResponse): boolean {
    const [first] = this.#unanswered;
    const results = resultsOf(response);
    const isOfBatch = response.requestId === "" || response.requestId === first?.batch.requestId;
    const count = (first?.results.length ?? 0) + results.length;
    const isRightNumber =
      first !== undefined && count <= first.batch.spans && (!response.batchDone || count === first.batch.spans);
    if (first === undefined || !isOfBatch || !isRightNumber || this.#sent === 0) {
      this.#failFirst(
        wrongAnswer("the service answered something else than the batch that it was sent; look at its version"),
      );
      return false;
    }
    if (results.some((each) => "attributes" in each && each.attributes.length === 0)) {
      this.#failFirst(
        wrongAnswer("the service signs, but gives no attributes: it is too old to know with_attributes; update it"),
      );
      return false;
    }
    first.results.push(...results);
    [this.#backoffMs, this.#hasRenewed] = [firstBackoffMs, false];
    if (!response.batchDone) return true;
    first.resolve(first.results);
    this.#unanswered.shift();
    this.#sent -= 1;
    this.#changed();
    if (this.#unanswered.length === 0) this.#startIdle();
    return true;
  }

  #ended(error: ConnectError | undefined, delayMs?: number): void {
    this.#stream = undefined;
    let waitMs = delayMs;
    if (error?.code === Code.Unauthenticated && this.#unanswered.length > 0) {
      if (this.#hasRenewed) this.#failAll(error);
      [this.#hasRenewed, waitMs] = [!this.#hasRenewed, 0];
    } else if (error !== undefined && !isPassing(error)) {
      this.#failFirst(error);
      waitMs = 0;
    }
    if (this.#unanswered.length === 0 || waitMs === 0) {
      this.#isOpen = false;
      this.#send();
      return;
    }
    const jitter = 0.8 + 0.4 * Math.random();
    const told = error === undefined ? 0 : (detailsOf(error).retryAfterMs ?? 0);
    this.#pause(Math.max(told, this.#backoffMs * jitter));
    this.#backoffMs = Math.min(2 * this.#backoffMs, maxBackoffMs);
  }

  #pause(ms: number): void {
    const over = () => {
      clearTimeout(timer);
      this.#wait = undefined;
      this.#isOpen = false;
      this.#send();
    };
    const timer = setTimeout(over, ms);
    this.#wait = { timer, over };
  }

  #startIdle(): void {
    clearTimeout(this.#idle);
    if (this.#isClosed) {
      // It was opened while the signer was closed.
      this.#stream?.end();
      return;
    }
    this.#idle = setTimeout(() => {
      if (this.#unanswered.length === 0) this.#stream?.end();
    }, idleMs);
    this.#idle.unref();
  }

  /** Drops what nobody waits for any more, and what the service would not know again over a new stream. */
  #dropOld(): void {
    for (const each of [...this.#unanswered]) {
      if (isOld(each.batch)) each.reject(expired());
      if (isOld(each.batch) || each.isAbandoned) this.#remove(each);
    }
  }

  #failFirst(error: ConnectError): void {
    const [first] = this.#unanswered;
    first?.reject(error);
    if (first !== undefined) this.#remove(first);
  }

  #failAll(error: ConnectError): void {
    for (const each of this.#unanswered) each.reject(error);
    this.#unanswered = [];
    this.#changed();
  }

  #remove(unanswered: Unanswered): void {
    const at = this.#unanswered.indexOf(unanswered);
    if (at < 0) return;
    this.#unanswered.splice(at, 1);
    if (at < this.#sent) this.#sent -= 1;
    this.#changed();
  }

  #changed(): void {
    for (const each of this.#waiting) each();
    this.#waiting.clear();
  }

  #change(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const changed = () => {
        signal?.removeEventListener("abort", aborted);
        resolve();
      };
      const aborted = () => {
        this.#waiting.delete(changed);
        reject(signal?.reason);
      };
      this.#waiting.add(changed);
      signal?.addEventListener("abort", aborted, { once: true });
    });
  }
}

const tooLarge: SpanRefusal = {
  code: Code.ResourceExhausted,
  field: "",
  message: "the span is larger with its resource than the 4 MiB that a message may have",
};

function encoded(resourceSpans: readonly ResourceSpans[]): Uint8Array {
  return Buffer.concat(resourceSpans.map((each) => field(0x0a, toBinary(ResourceSpansSchema, each))));
}

function isOld(batch: SpanBatch): boolean {
  return (takenAt.get(batch) ?? Number.POSITIVE_INFINITY) < Date.now() - maxAgeMs;
}

function expired(): ConnectError {
  return new ConnectError("a batch was not answered within 23 hours", Code.DeadlineExceeded);
}

function wrongAnswer(message: string): ConnectError {
  return new ConnectError(message, Code.Internal);
}

function unlessAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted, { once: true });
    void work.then(() => {
      signal.removeEventListener("abort", aborted);
      resolve();
    });
  });
}
