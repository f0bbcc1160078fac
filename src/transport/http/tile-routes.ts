/**
 * The logs over HTTP as C2SP tlog-tiles: a client takes `/api/kms/tenants/{tenant}/log` for the prefix of a tenant's last log, and
 * `/api/kms/tenants/{tenant}/log/{n}` for that of its log n.
 */
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { GetCheckpointRequestSchema } from "../../../gen/ts/fluo/kms/v1/log_pb.ts";
import { LogService } from "../../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import type { LogHandlers } from "../../service/log/handlers.ts";
import type { Reply, Route } from "./route.ts";

const prefix = "^/api/kms/tenants/(?<tenantId>[^/]+)/log(?:/(?<log>[1-9][0-9]{0,9}))?/";

/**
 * Tiles and bundles never change. They are for the caller's own cache: one that is shared would give them to callers who may not act for the
 * tenant.
 */
const forEver = "private, max-age=31536000, immutable";

const compress = promisify(gzip);

export function logRoutes({ getCheckpoint, getTile }: Pick<LogHandlers, "getCheckpoint" | "getTile">): Route[] {
  return [
    {
      method: "GET",
      path: new RegExp(`${prefix}checkpoint$`),
      rpc: LogService.method.getCheckpoint,
      async answer(_request, context, path) {
        const { checkpoint } = await getCheckpoint(create(GetCheckpointRequestSchema, logIn(path)), context);
        const headers = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };
        return { headers, body: checkpoint };
      },
    },
    {
      method: "GET",
      path: new RegExp(`${prefix}(?<tile>tile/.*)$`),
      async answer({ headers }, context, path) {
        const tile = path.groups!.tile!;
        const reply = {
          headers: { "content-type": "application/octet-stream", "cache-control": forEver },
          body: await getTile({ ...logIn(path), path: tile }, context),
        };
        return tile.startsWith("tile/entries/") ? compressed(reply, headers["accept-encoding"]) : reply;
      },
    },
  ];
}

function logIn({ groups }: RegExpExecArray): { tenantId: string; log: number } {
  return { tenantId: groups!.tenantId!, log: Number(groups!.log ?? 0) };
}

/** Entries are much alike: a bundle gets less than a fourth of its size. Hashes would get none. */
async function compressed({ headers, body }: Reply & { body: Uint8Array }, accepted = ""): Promise<Reply> {
  const varying = { ...headers, vary: "accept-encoding" };
  if (!/\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(accepted)) return { headers: varying, body };
  return {
    headers: { ...varying, "content-encoding": "gzip" },
    body: await compress(body, { level: constants.Z_BEST_SPEED }),
  };
}
