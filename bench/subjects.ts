/** The service's own paths, ready to be measured: each is a load of the client's process on the service's. */
import { SignMode } from "../gen/ts/fluo/kms/v1/signing_pb.ts";
import { caller } from "./client/caller.ts";
import type { LoadClient } from "./client/client.ts";
import type { Load } from "./client/load.ts";
import { type Check, checks } from "./checks.ts";
import { encryptPiiRequest, generateDataKeyRequest, rpc, tenantId } from "./requests.ts";
import type { Server } from "./server/server.ts";
import { cpuAnItem, type Take } from "./slice.ts";
import { batches, opening, signSpanRequests } from "./spans.ts";

export interface StreamShape {
  mode: "INDIVIDUAL" | "LOG";
  /** gRPC where nothing else is said. */
  protocol?: "gRPC" | "Connect";
  /** Whether results have the attributes to put on each span. */
  withAttributes?: boolean;
  /** One after the other where there are more than `atOnce`. */
  streams: number;
  atOnce: number;
  batchesEach: number;
  spansABatch: number;
  /** Batches of a stream that are sent before their answers. */
  ahead: number;
  /** The streams' owners by turns. */
  tenants: readonly string[];
}

export interface Subjects {
  /** CPU a call. */
  signSpan(calls: number): Take;
  generateDataKey(calls: number): Take;
  /** CPU a field. */
  encryptPii(fields: number, calls: number): Take;
  /** CPU a span. */
  signSpans(shape: StreamShape): Take;
  close(): void;
}

export const callsAtOnce = 64;
/** Of SignSpans, where nothing else is said. `ahead` is enough that a stream alone has the service always at work. */
export const usualBatches = { spansABatch: 100, ahead: 8 };
/** Spans that are distinct; hardly any is in a processor's cache when it comes again. */
const [distinctAlone, distinctInBatches] = [1024, 12_800];

export function subjectsOf(server: Pick<Server, "port" | "cpu">, client: LoadClient): Subjects {
  const unmeasured = caller(server.port);
  const check = checks(unmeasured);

  const subject = (make: () => Load, items: number, looksRight: Check): Take =>
    cpuAnItem({ server, run: client.load(make), items, check: looksRight });
  const unary = (method: string, bodies: readonly Uint8Array[], calls: number): Load => {
    return { over: "unary", port: server.port, path: rpc(method), bodies, calls, atOnce: callsAtOnce };
  };

  return {
    signSpan: (calls) =>
      subject(() => unary("SignSpan", signSpanRequests(tenantId, distinctAlone), calls), calls, check.signSpan),
    generateDataKey: (calls) =>
      subject(() => unary("GenerateDataKey", [generateDataKeyRequest()], calls), calls, check.generateDataKey),
    encryptPii: (fields, calls) =>
      subject(() => unary("EncryptPii", [encryptPiiRequest(fields)], calls), calls * fields, check.encryptPii),
    signSpans({ mode, protocol = "gRPC", withAttributes = false, tenants, spansABatch, ...shape }) {
      const make = (): Load => ({
        ...shape,
        over: "streams",
        protocol,
        port: server.port,
        path: rpc("SignSpans"),
        bodies: batches(Math.ceil(distinctInBatches / spansABatch), spansABatch),
        openings: tenants.map((tenant) => opening(tenant, SignMode[mode], withAttributes)),
      });
      return subject(make, shape.streams * shape.batchesEach * spansABatch, check.signSpans);
    },
    close: unmeasured.close,
  };
}
