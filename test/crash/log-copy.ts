/** A tenant's log as the service gives it out, read like a monitor reads it: its checkpoint, and all of its tiles and bundles over HTTP. */
import { status } from "@grpc/grpc-js";
import { entryAt } from "../../src/tlog/entry-bundle.ts";
import { hashBytes, leafHash } from "../../src/tlog/merkle.ts";
import { formatTilePath, fullTile } from "../../src/tlog/tiles.ts";
import type { CrashClient } from "./service.ts";

export interface LogCopy {
  entries: Uint8Array[];
  /** As their tiles have them, hex. */
  leaves: string[];
  /** A signed note; undefined where no key may sign. */
  checkpoint: string | undefined;
}

/** `size`: how far it is read where there is no checkpoint. */
export async function readLog(client: CrashClient, tenantId: string, size: number): Promise<LogCopy> {
  const answer = await client.logs.getCheckpoint({ tenantId }).catch((error) => {
    if (error.code !== status.FAILED_PRECONDITION) throw error;
    return undefined;
  });
  const copy: LogCopy = { entries: [], leaves: [], checkpoint: answer?.checkpoint };
  const end = answer === undefined ? size : Number(answer.head!.size);
  for (let tile = 0; tile * fullTile < end; tile += 1) {
    const width = Math.min(fullTile, end - tile * fullTile);
    const resource = async (level: 0 | "entries") => {
      const path = formatTilePath({ level, tile, width });
      const response = await fetch(`${client.http}/api/kms/tenants/${tenantId}/log/${path}`);
      if (!response.ok) throw new Error(`${path} of ${tenantId} answered ${response.status} ${await response.text()}`);
      return new Uint8Array(await response.arrayBuffer());
    };
    const [hashes, bundle] = [await resource(0), await resource("entries")];
    for (let place = 0; place < width; place += 1) {
      copy.leaves.push(hex(hashes.subarray(place * hashBytes, (place + 1) * hashBytes)));
      copy.entries.push(entryAt(bundle, place) ?? new Uint8Array());
    }
  }
  return copy;
}

export function leafOf(entry: Uint8Array): string {
  return hex(leafHash(entry));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
