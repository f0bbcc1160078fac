/**
 * The logs over HTTP as C2SP tlog-tiles: a client takes `/api/kms/tenants/{tenant}/log` for the prefix of a tenant's last log, and
 * `/api/kms/tenants/{tenant}/log/{n}` for that of its log n.
 */
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { GetCheckpointRequestSchema } from "../../../gen/ts/fluo/kms/v1/log_pb.ts";
import { LogService } from "../../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { type LogHandlers, logMethods } from "../../service/log/handlers.ts";
import type { Calls } from "../pipeline.ts";
import { type Asked, askedCarrier, type Reply, type Route } from "./route.ts";

const prefix = "^/api/kms/tenants/(?<tenantId>[^/]+)/log(?:/(?<log>[1-9][0-9]{0,9}))?/";

/**
 * Tiles and bundles never change. They are for the caller's own cache: one that is shared would give them to callers who may not act for the
 * tenant.
 */
const forEver = "private, max-age=31536000, immutable";

const compress = promisify(gzip);

export function logRoutes({ route }: Pick<Calls, "route">, { getCheckpoint, getTile }: LogHandlers): Route[] {
  return [
    {
      method: "GET",
      path: new RegExp(`${prefix}checkpoint$`),
      open: "public-keys",
      answer: route(
        { rpc: LogService.method.getCheckpoint, audit: logMethods.getCheckpoint.audit, handler: getCheckpoint },
        {
          decode: (_, asked: Asked) => create(GetCheckpointRequestSchema, logIn(asked)),
          encode({ checkpoint }): Reply {
            const headers = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };
            return { headers, body: checkpoint };
          },
        },
        askedCarrier,
      ),
    },
    {
      method: "GET",
      path: new RegExp(`${prefix}(?<tile>tile/.*)$`),
      open: "public-keys",
      answer: route(
        // There are many, which stay cheap: what succeeds is not counted.
        { rpc: undefined, audit: logMethods.getTile.audit, handler: getTile },
        { decode: (_, asked: Asked) => ({ ...logIn(asked), path: asked.path.groups!.tile! }), encode: tileReply },
        askedCarrier,
      ),
    },
  ];
}

function logIn({ path: { groups } }: Asked): { tenantId: string; log: number } {
  return { tenantId: groups!.tenantId!, log: Number(groups!.log ?? 0) };
}

function tileReply(body: Uint8Array, { path, request }: Asked): Reply | Promise<Reply> {
  const headers = { "content-type": "application/octet-stream", "cache-control": forEver, vary: "authorization" };
  const isBundle = path.groups!.tile!.startsWith("tile/entries/");
  return isBundle ? compressed({ headers, body }, request.headers["accept-encoding"]) : { headers, body };
}

/** Entries are much alike: a bundle gets less than a fourth of its size. Hashes would get none. */
async function compressed({ headers, body }: Reply & { body: Uint8Array }, accepted = ""): Promise<Reply> {
  const varying = { ...headers, vary: `${headers.vary}, accept-encoding` };
  if (!/\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(accepted)) return { headers: varying, body };
  return {
    headers: { ...varying, "content-encoding": "gzip" },
    body: await compress(body, { level: constants.Z_BEST_SPEED }),
  };
}
