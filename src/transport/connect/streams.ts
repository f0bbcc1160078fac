/**
 * Streams both ways by Connect over HTTP/2, on the port of gRPC: their messages are read and answered as gRPC's are, and
 * the library writes the responses.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { pipeline } from "node:stream/promises";
import type { DescMethod } from "@bufbuild/protobuf";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { parseContentType } from "@connectrpc/connect/protocol-connect";
import { KmsError } from "../../errors.ts";
import type { Time } from "../../runtime/time.ts";
import { jsonToWire } from "../codecs.ts";
import type { OtherStreams } from "../grpc/gate.ts";
import type { Streams } from "../grpc/stream/streams.ts";
import type { Wire } from "../grpc/stream/wire.ts";
import type { Calls } from "../pipeline.ts";
import { rpcPath } from "../services.ts";
import { connectTimeoutMs } from "../timeouts.ts";
import { createResponders, type Told } from "./library.ts";
import { decoderOf } from "./request.ts";
import { ConnectWire } from "./wire.ts";

interface Rpc {
  method: DescMethod;
  serve(wire: Wire): void;
}

/** Serves the streams of the services. */
export function connectStreams({ services, refuse }: Calls, streams: Streams, time: Time): OtherStreams {
  const rpcs = new Map<string, Rpc>();
  for (const { service, streams: handlers = {} } of services) {
    for (const [name, handler] of Object.entries(handlers)) {
      const method = service.method[name]!;
      rpcs.set(`/${rpcPath(method)}`, { method, serve: streams.serve(method, handler) });
    }
  }
  const responders = createResponders([...rpcs.values()].map(({ method }) => method));

  function tell(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, error: KmsError): void {
    void send(stream, responders.refuse(formOf(headers)!.told, error));
  }

  return {
    has: (headers) => rpcs.has(headers[":path"] as string) && formOf(headers) !== undefined,
    refuse: tell,
    serve(stream, headers) {
      const { method, serve } = rpcs.get(headers[":path"] as string)!;
      const { told, isJson } = formOf(headers)!;
      let wire: ConnectWire;
      try {
        check(headers);
        wire = new ConnectWire(stream, headers, {
          decode: decoderOf(headers["connect-content-encoding"]?.toString()),
          parse: isJson ? jsonToWire(method) : undefined,
          timeoutMs: connectTimeoutMs(headers["connect-timeout-ms"]?.toString()),
          time,
        });
      } catch (error) {
        tell(stream, headers, refuse(method, error));
        stream.resume();
        return;
      }
      serve(wire);
      void send(
        stream,
        responders.of(method)(told, () => wire.responses(method)),
      );
    },
  };
}

/** Undefined if the media type is not of Connect's streams. */
function formOf(headers: IncomingHttpHeaders): { told: Told; isJson: boolean } | undefined {
  const type = parseContentType(headers["content-type"] ?? null);
  if (!type?.stream) return undefined;
  const contentType = `application/connect+${type.binary ? "proto" : "json"}`;
  const accepts = ["connect-accept-encoding", headers["connect-accept-encoding"]?.toString()] as const;
  return { told: { contentType, framed: true, accepts }, isJson: !type.binary };
}

function check(headers: IncomingHttpHeaders): void {
  if (headers[":method"] !== "POST") throw new KmsError("INVALID_ARGUMENT", "use POST");
  // No browser has streams both ways, and no page is meant to call this port.
  if (headers.origin !== undefined) throw new KmsError("PERMISSION_DENIED", "requests from pages are refused");
}

/** A client that leaves meanwhile ends what is written to it. */
async function send(stream: ServerHttp2Stream, responding: Promise<UniversalServerResponse>): Promise<void> {
  stream.on("error", () => {});
  const { status, header, body } = await responding;
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ ":status": status, ...Object.fromEntries(header!) });
  await pipeline(body!, stream).catch(() => {});
}
