/** Reads on in the audit trail: the rows that changed keys, each once, in the order in which they were stored. */
import type { AuditEvent } from "../../gen/ts/fluo/kms/v1/audit_pb.ts";
import { KeyPurpose } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import type { GrpcClient } from "../support/running-service.ts";
import type { TrailRow } from "./model.ts";
import { purposeOf } from "./names.ts";

export interface TrailReader {
  read(client: GrpcClient): Promise<TrailRow[]>;
}

const changes = [
  "create",
  "rotate",
  "retire",
  "disable",
  "enable",
  "mark_compromised",
  "schedule_destruction",
  "cancel_destruction",
  "destroy",
  "rewrap",
];

export function trailReader(): TrailReader {
  let pageToken = "";
  /** Rows of the page that was not full, which is read again. */
  let seen = new Set<string>();

  return {
    async read(client) {
      const rows: TrailRow[] = [];
      for (;;) {
        const { events, nextPageToken } = await client.admin.listAuditEvents({ pageSize: 1000, pageToken });
        const fresh = events.filter((event) => !seen.has(nameOf(event)));
        rows.push(...fresh.filter(isChange).map(rowOf));
        if (nextPageToken === "") {
          seen = new Set(events.map(nameOf));
          return rows;
        }
        pageToken = nextPageToken;
        seen = new Set();
      }
    },
  };
}

const nameOf = ({ writerId, sequence }: AuditEvent) => `${writerId}/${sequence}`;

function isChange({ action, outcome, purpose }: AuditEvent): boolean {
  return outcome === "OK" && changes.includes(action) && purpose !== KeyPurpose.UNSPECIFIED;
}

function rowOf({ action, actor, requestId, tenantId, purpose, keyId }: AuditEvent): TrailRow {
  return { action, actor, requestId, tenantId, purpose: purposeOf(purpose), keyId };
}
