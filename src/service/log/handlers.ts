/** The handlers of fluo.kms.v1.LogService, and of the tiles that are served beside it. */
import { create, type MessageShape } from "@bufbuild/protobuf";
import {
  GetCheckpointResponseSchema,
  GetConsistencyProofResponseSchema,
  GetInclusionProofResponseSchema,
} from "../../../gen/ts/fluo/kms/v1/log_pb.ts";
import type { LogService } from "../../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { invalidField, KmsError } from "../../errors.ts";
import type { LogReader, OpenLog } from "../../tenant-log/reader.ts";
import { parseTilePath } from "../../tlog/tiles.ts";
import { hashesOf, tlogProofText } from "../../tlog/inclusion-proof.ts";
import { notAudited } from "../../audit/audited.ts";
import type { CallContext } from "../../call/context.ts";
import { roleOf } from "../../call/roles.ts";
import { headMessage } from "../messages.ts";
import type { Methods } from "../method.ts";

type Rpcs = typeof LogService.method;

export type LogHandlers = {
  [Name in keyof Rpcs]: (
    request: MessageShape<Rpcs[Name]["input"]>,
    context: CallContext,
  ) => Promise<MessageShape<Rpcs[Name]["output"]>>;
} & {
  getTile(request: GetTileRequest, context: CallContext): Promise<Uint8Array>;
};

/** What is asked for over HTTP alone. */
export interface GetTileRequest {
  tenantId: string;
  /** As in the rpcs: 0 for the last one. */
  log: number;
  /** `tile/…`, as C2SP tlog-tiles has it. */
  path: string;
}

/**
 * Not in the audit trail: nothing is decided here. The one use of a key, a checkpoint's signature, says again what the key or one before it
 * said when the batches were entered, which is in the trail.
 */
export const logMethods: Methods<LogHandlers> = {
  getCheckpoint: { audit: notAudited("read_log") },
  getInclusionProof: { audit: notAudited("read_log") },
  getConsistencyProof: { audit: notAudited("read_log") },
  getTile: { audit: notAudited("read_log") },
};

export function logHandlers({ logs }: { logs: LogReader }): LogHandlers {
  const open = ({ tenantId, log }: { tenantId: string; log: number }, { caller }: CallContext) =>
    logs.open(caller.authorize(tenantId, roleOf.getCheckpoint), log === 0 ? undefined : log);

  return {
    async getCheckpoint(request, call) {
      const log = await open(request, call);
      return create(GetCheckpointResponseSchema, {
        head: headMessage(log.head),
        checkpoint: await log.checkpoint(call),
      });
    },

    async getInclusionProof(request, call) {
      const log = await open(request, call);
      const size = sizeOf(log, "tree_size", request.treeSize);
      const index = Number(request.leafIndex);
      if (index >= size) throw invalidField("leaf_index", "must be below tree_size, or the size of the log");
      const { tree, entry, path } = await log.inclusion(index, size);
      const checkpoint = await checkpointOf(log, size, call);
      return create(GetInclusionProofResponseSchema, {
        head: headMessage({ ...log.head, ...tree }),
        leafIndex: request.leafIndex,
        entry,
        hashes: hashesOf(path),
        proof: checkpoint && tlogProofText({ index, path, checkpoint }),
      });
    },

    async getConsistencyProof(request, call) {
      const log = await open(request, call);
      const size = sizeOf(log, "to_size", request.toSize);
      const from = Number(request.fromSize);
      if (from < 1 || from > size) throw invalidField("from_size", "is 1 to to_size, or to the size of the log");
      const proof = await log.consistency(from, size);
      return create(GetConsistencyProofResponseSchema, {
        from: headMessage({ ...log.head, ...proof.from }),
        to: headMessage({ ...log.head, ...proof.to }),
        hashes: hashesOf(proof.path),
        checkpoint: await checkpointOf(log, size, call),
      });
    },

    async getTile(request, call) {
      const log = await open(request, call);
      const path = parseTilePath(request.path);
      if (path === undefined) throw new KmsError("NOT_FOUND", "the path is not one of a tile or bundle");
      return log.tile(path);
    },
  };
}

/** 0 means the present size. What a double cannot hold exactly is above every log's size. */
function sizeOf({ head }: OpenLog, field: string, size: bigint): number {
  if (size > head.size) throw invalidField(field, `is above the log's size, ${head.size}`);
  return Number(size) || head.size;
}

/** A checkpoint is only of the present tree; "" for others. */
async function checkpointOf(log: OpenLog, size: number, call: CallContext): Promise<string> {
  return size === log.head.size ? log.checkpoint(call) : "";
}
