/** How far a log goes, as messages say it. */
import { create } from "@bufbuild/protobuf";
import { type LogHead, LogHeadSchema } from "../../gen/ts/fluo/kms/v1/public_key_pb.ts";
import type { LogCompromise } from "../store/log-store.ts";

export function headMessage({ number, origin, size, root }: Omit<LogCompromise, "tenantId" | "keyId">): LogHead {
  return create(LogHeadSchema, { log: number, origin, size: BigInt(size), root });
}
