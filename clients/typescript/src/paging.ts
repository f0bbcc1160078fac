/** Lists that the service gives in pages, as one. A page is fetched when its first item is asked for. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import type { Kms } from "./kms.ts";
import type {
  AuditEvent,
  GetPublicKeysRequestSchema,
  Key,
  ListAuditEventsRequestSchema,
  ListKeysRequestSchema,
  LogHandover,
  PublicKey,
} from "./messages.ts";

/** Keys of one tenant, or of all, by tenant, purpose and version. `pageSize` is how many come at once. */
export function listKeys(
  kms: { admin: Pick<Kms["admin"], "listKeys"> },
  request: MessageInitShape<typeof ListKeysRequestSchema> = {},
  options?: CallOptions,
): AsyncGenerator<Key, void, undefined> {
  return pages(async (pageToken) => {
    const { keys, nextPageToken } = await kms.admin.listKeys({ ...request, pageToken }, options);
    return { items: keys, nextPageToken };
  });
}

/** The audit trail, oldest first. */
export function listAuditEvents(
  kms: { admin: Pick<Kms["admin"], "listAuditEvents"> },
  request: MessageInitShape<typeof ListAuditEventsRequestSchema> = {},
  options?: CallOptions,
): AsyncGenerator<AuditEvent, void, undefined> {
  return pages(async (pageToken) => {
    const { events, nextPageToken } = await kms.admin.listAuditEvents({ ...request, pageToken }, options);
    return { items: events, nextPageToken };
  });
}

/** A tenant's public keys, newest first, then its handovers, oldest first. To verify offline take `jwks.json`, which has all at once. */
export function listPublicKeys(
  kms: Pick<Kms, "getPublicKeys">,
  request: MessageInitShape<typeof GetPublicKeysRequestSchema>,
  options?: CallOptions,
): AsyncGenerator<PublicKey | LogHandover, void, undefined> {
  return pages(async (pageToken) => {
    const page = { pageSize: 1_000, ...request, pageToken };
    const { keys, handovers, nextPageToken } = await kms.getPublicKeys(page, options);
    return { items: [...keys, ...handovers], nextPageToken };
  });
}

async function* pages<Item>(
  page: (token: string) => Promise<{ items: readonly Item[]; nextPageToken: string }>,
): AsyncGenerator<Item, void, undefined> {
  let token = "";
  do {
    const { items, nextPageToken } = await page(token);
    yield* items;
    token = nextPageToken;
  } while (token !== "");
}
