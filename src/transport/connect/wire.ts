/** A stream of Connect's: how its messages are unpacked, and how the library gets its responses. */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { type DescMethod, fromBinary } from "@bufbuild/protobuf";
import type { CallContext, Caller } from "../../call/context.ts";
import { invalidField, type KmsError } from "../../errors.ts";
import { release } from "../../runtime/detach.ts";
import type { Time } from "../../runtime/time.ts";
import { heavyTurn } from "../../runtime/turns/loop.ts";
import { callContext, callerLeft } from "../call-context.ts";
import { toConnectError } from "../error-status.ts";
import { flagsOf } from "../grpc/http2/internals.ts";
import { carrying } from "../codecs.ts";
import type { Wire } from "../grpc/stream/wire.ts";
import { largeBytes } from "../stages.ts";
import { compressedFlag } from "./library.ts";
import { namesNoCompression } from "./request.ts";

export interface WireParts {
  /** Decompresses a message; undefined if the request names no compression. */
  decode: ((message: Uint8Array, wanted: () => boolean) => Promise<Buffer>) | undefined;
  /** Returns the wire bytes of a message in JSON; undefined if messages are binary. */
  parse: ((message: Uint8Array) => Uint8Array) | undefined;
  timeoutMs: number | undefined;
  time: Time;
}

/** A class, as a response waits in it for the library, or the library for a response. */
export class ConnectWire implements Wire {
  readonly http2: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #parts: WireParts;
  readonly #endMs: number;
  /** From when it is written until the client has taken it. */
  #response: Uint8Array | undefined;
  #end: { error?: KmsError } | undefined;
  #wake = () => {};
  #drained = () => {};

  constructor(http2: ServerHttp2Stream, headers: IncomingHttpHeaders, parts: WireParts) {
    this.http2 = http2;
    http2.resume(); // to its end: what it brings is taken before it comes here
    this.#headers = headers;
    this.#parts = parts;
    this.#endMs = parts.time.monotonicMs() + (parts.timeoutMs ?? Number.POSITIVE_INFINITY);
  }

  header(name: string): string | undefined {
    return this.#headers[name]?.toString();
  }

  context(caller: Caller): CallContext {
    return callContext(caller, undefined, (abort) => this.whenLeft(abort));
  }

  leftMs(): number {
    return this.#endMs - this.#parts.time.monotonicMs();
  }

  whenLeft(leave: (why: KmsError) => void): void {
    if (this.http2.closed) leave(callerLeft());
    else this.http2.once("close", () => leave(callerLeft()));
  }

  unpack(message: Buffer, wanted: () => boolean): Promise<Uint8Array> | undefined {
    const flags = flagsOf(message);
    return flags === 0 && this.#parts.parse === undefined ? undefined : this.#unpacked(message, flags, wanted);
  }

  async #unpacked(message: Buffer, flags: number, wanted: () => boolean): Promise<Uint8Array> {
    const { decode, parse } = this.#parts;
    if (flags > compressedFlag) throw invalidField("request", "has a frame whose flags are not known");
    if (flags === compressedFlag && decode === undefined) {
      throw invalidField("request", namesNoCompression("connect-content-encoding"));
    }
    const whole = flags === compressedFlag && message.length > 0 ? await decode!(message, wanted) : message;
    if (parse === undefined) return whole;
    if (whole.length >= largeBytes) await heavyTurn(this.http2.session, message);
    return parse(whole);
  }

  write(response: Uint8Array): void {
    this.#response = response;
    this.#wake();
  }

  isFull(): boolean {
    return this.#response !== undefined;
  }

  isUnread(): boolean {
    return this.isFull() || this.http2.writableLength > 0;
  }

  whenDrained(wake: () => void): void {
    this.#drained = wake;
  }

  end(): void {
    this.#end ??= {};
    this.#wake();
  }

  fail(error: KmsError): void {
    this.#end ??= { error };
    this.#wake();
  }

  /** Gives the library each response, which is on its way when it asks for the next; throws the error that ends them. */
  async *responses({ output }: DescMethod) {
    const read = this.#parts.parse === undefined ? carrying : fromBinary;
    while (this.#response !== undefined || this.#end === undefined) {
      if (this.#response === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      if (this.#response.length >= largeBytes) await heavyTurn(this.http2.session, this);
      yield read(output, this.#response);
      release(this.#response);
      this.#response = undefined;
      this.#drained();
    }
    if (this.#end.error) throw toConnectError(this.#end.error);
  }
}
