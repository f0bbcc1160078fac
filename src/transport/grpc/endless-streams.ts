/**
 * Streams that have no end of their own, health watches and reflection: a shutdown that waits for calls would wait for them for ever.
 * They are noted as they come, and ended by the server when it stops. One that asks on and does not read is reset.
 */
import { constants } from "node:http2";
import type * as grpc from "@grpc/grpc-js";
import { http2StreamOf } from "./http2/internals.ts";
import { resetStream } from "./http2/own-resets.ts";

type Stream = grpc.ServerWritableStream<unknown, unknown> | grpc.ServerDuplexStream<unknown, unknown>;
/** Answers. */
const mostUnread = 16;

type StreamHandler = (call: Stream) => void;

export interface EndlessStreams {
  /** Adds a service to `server`, noting the streams that the server answers with. */
  addService(service: grpc.ServiceDefinition, implementation: grpc.UntypedServiceImplementation): void;
  /** Ends those that are open, after what was written to them, and from now on each that still comes. */
  end(): void;
}

export function endlessStreams(server: Pick<grpc.Server, "addService">): EndlessStreams {
  const open = new Set<Stream>();
  let ended = false;

  const noted = (handle: StreamHandler): StreamHandler => {
    return (call) => {
      open.add(call);
      const forget = () => open.delete(call);
      call.once("finish", forget);
      call.once("cancelled", forget);
      if ("read" in call) {
        call.on("data", () => {
          if (call.writableLength > mostUnread) resetStream(http2StreamOf(call), constants.NGHTTP2_ENHANCE_YOUR_CALM);
        });
      }
      handle(call);
      if (ended) call.end();
    };
  };

  return {
    addService(service, implementation) {
      const handlers = Object.entries(implementation).map(([name, handle]) => [
        name,
        methodOf(service, name)?.responseStream ? noted(handle as StreamHandler) : handle,
      ]);
      server.addService(service, Object.fromEntries(handlers));
    },
    end() {
      ended = true;
      for (const stream of open) stream.end();
    },
  };
}

/** An implementation may name a method as the proto does, or in lower camel case. */
function methodOf(service: grpc.ServiceDefinition, name: string) {
  return service[name] ?? Object.values(service).find(({ originalName }) => originalName === name);
}
