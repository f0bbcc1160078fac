/** GetPublicKeys: what a verifier needs, offline, years later. All at once, in pages, or some keys by their ids. */
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type GetPublicKeysRequest,
  type GetPublicKeysResponse,
  GetPublicKeysResponseSchema,
  JwkSchema,
  type LogHandover,
  LogHandoverSchema,
  type LogHead,
  type PublicKey,
  PublicKeySchema,
} from "../../../gen/ts/fluo/kms/v1/public_key_pb.ts";
import { invalidField, KmsError } from "../../errors.ts";
import type { Keyring } from "../../keys/keyring.ts";
import type { PublicKey as PublicSigningKey } from "../../keys/public-keys.ts";
import type { Published } from "../../keys/published.ts";
import { verifierKey } from "../../tlog/verifier-key.ts";
import type { LogCompromise, LogHandover as StoredHandover } from "../../store/log-store.ts";
import type { CallContext } from "../../call/context.ts";
import { roleOf } from "../../call/roles.ts";
import { headMessage, keyStates } from "../messages.ts";
import { pageSize, pageStart, pageToken } from "../page.ts";

export interface PublicKeyParts {
  keyring: Keyring;
  /** Names the log that a tenant will have: `<issuer>/<tenant_id>`. A log that there is keeps the name that it was born with. */
  issuer: string;
}

/** All public keys of a tenant, and all handovers: oldest first, each made when it is asked for. */
export interface PublicKeySet {
  keys: Iterable<PublicKey>;
  handovers: Iterable<LogHandover>;
  /** Handovers without a proof: their entries are in the logs, and the new keys never came into use. */
  unusedHandovers: Iterable<LogHandover>;
  endedLogs: Iterable<LogHead>;
}

/** What is asked for over HTTP alone. */
export interface PublicKeySetRequest {
  tenantId: string;
}

export const maxKeyIds = 100;
/** Half of what a message may have: JSON says the same in more bytes. */
const maxAnswerBytes = 2 * 1024 * 1024;
/** So many keys and handovers fit, whatever the names of their logs. */
const surelyFits = 500;

export function publicKeyHandlers({ keyring, issuer }: PublicKeyParts) {
  const tenantOf = ({ tenantId }: { tenantId: string }, { caller }: CallContext) =>
    caller.authorize(tenantId, roleOf.getPublicKeys);

  async function published(tenantId: string, call: CallContext) {
    const all = await keyring.publicKeys.published(tenantId, call);
    const endedLogs = all.logs.filter(({ state }) => state !== "open").map(headMessage);
    return { ...all, endedLogs, ...messagesOf(all, `${issuer}/${tenantId}`) };
  }

  return {
    async getPublicKeys(request: GetPublicKeysRequest, call: CallContext): Promise<GetPublicKeysResponse> {
      const tenantId = tenantOf(request, call);
      const ids = keyIdsOf(request);
      const size = sizeOf(request);
      const all = await published(tenantId, call);
      const { keys, keyMessage, handovers, handoverMessage, endedLogs } = all;
      if (ids.size > 0) {
        const wanted = keys.filter(({ keyId }) => ids.has(keyId));
        return create(GetPublicKeysResponseSchema, { keys: wanted.toReversed().map(keyMessage) });
      }
      if (size > 0) return pageOf(all, request, size);
      const whole = { keys: keys.map(keyMessage), handovers: handovers.map(handoverMessage), endedLogs };
      return fitting(create(GetPublicKeysResponseSchema, whole));
    },

    async publicKeySet(request: PublicKeySetRequest, call: CallContext): Promise<PublicKeySet> {
      const all = await published(tenantOf(request, call), call);
      const { keys, keyMessage, handovers, handoverMessage, endedLogs } = all;
      const isUsed = ({ proof }: StoredHandover) => proof !== "";
      return {
        keys: keys.values().map(keyMessage),
        handovers: handovers.values().filter(isUsed).map(handoverMessage),
        unusedHandovers: handovers
          .values()
          .filter((each) => !isUsed(each))
          .map(handoverMessage),
        endedLogs,
      };
    },
  };
}

function keyIdsOf({ keyIds, pageSize: size, pageToken: token }: GetPublicKeysRequest): ReadonlySet<string> {
  if (keyIds.length > maxKeyIds) throw invalidField("key_ids", `are at most ${maxKeyIds}`);
  if (keyIds.length > 0 && (size > 0 || token !== ""))
    throw invalidField("key_ids", "come all at once: leave page_size and page_token out");
  return new Set(keyIds);
}

/** 0 for all at once. */
function sizeOf({ pageSize: size, pageToken: token }: GetPublicKeysRequest): number {
  if (size === 0 && token !== "") throw invalidField("page_size", "is required with page_token");
  return size === 0 ? 0 : pageSize(size);
}

/** A part would be taken for all by clients that know no pages, and old spans would look as if they were forged. */
function fitting(whole: GetPublicKeysResponse): GetPublicKeysResponse {
  const { keys, handovers } = whole;
  if (keys.length + handovers.length <= surelyFits) return whole;
  if (toBinary(GetPublicKeysResponseSchema, whole).length <= maxAnswerBytes) return whole;
  throw new KmsError(
    "MESSAGE_TOO_LARGE",
    `${keys.length} keys and ${handovers.length} handovers are more than one answer holds: ask for pages, with page_size`,
  );
}

/** Where a page ended: at a key, by its version; or at a handover, by its log and its place there. */
type PageEnd = { list: "keys"; version: number } | { list: "handovers"; log: number; index: number };

/** First the keys, newest first, then the handovers, oldest first; no page has both. */
function pageOf(
  { keys, keyMessage, handovers, handoverMessage, endedLogs }: Published & Messages & { endedLogs: LogHead[] },
  { tenantId, pageToken: token }: GetPublicKeysRequest,
  size: number,
): GetPublicKeysResponse {
  const listing = ["public_keys", tenantId];
  const after = pageStart(token, listing, pageEnd) ?? { list: "keys", version: Number.POSITIVE_INFINITY };
  const totals = { totalKeys: keys.length, totalHandovers: handovers.length };
  if (after.list === "keys") {
    const left = keys.filter(({ version }) => version < after.version).toReversed();
    const page = left.slice(0, size);
    const nextPageToken =
      left.length > size
        ? pageToken(listing, ["keys", page.at(-1)!.version])
        : handovers.length > 0
          ? pageToken(listing, ["handovers", 0, 0])
          : "";
    const onFirst = token === "" ? { endedLogs } : {};
    return create(GetPublicKeysResponseSchema, { keys: page.map(keyMessage), nextPageToken, ...totals, ...onFirst });
  }
  const left = handovers.filter(
    ({ number, index }) => number > after.log || (number === after.log && index > after.index),
  );
  const page = left.slice(0, size);
  const last = page.at(-1);
  const nextPageToken = left.length > size ? pageToken(listing, ["handovers", last!.number, last!.index]) : "";
  return create(GetPublicKeysResponseSchema, { handovers: page.map(handoverMessage), nextPageToken, ...totals });
}

function pageEnd([list, ...numbers]: readonly unknown[]): PageEnd | undefined {
  if (!numbers.every((number) => Number.isSafeInteger(number))) return undefined;
  const [first, second, ...more] = numbers as number[];
  if (list === "keys" && first !== undefined && second === undefined) return { list, version: first };
  if (list !== "handovers" || second === undefined || more.length > 0) return undefined;
  return { list, log: first!, index: second };
}

interface Messages {
  /** Those of the tenant's logs, in their order: one of a log that is not known here yet is left out with it. */
  handovers: readonly StoredHandover[];
  keyMessage(key: PublicSigningKey): PublicKey;
  handoverMessage(handover: StoredHandover): LogHandover;
}

/** `nextOrigin` names the log that a tenant without one will have. */
function messagesOf({ logs, handovers, compromises }: Published, nextOrigin: string): Messages {
  const names = new Map(logs.map(({ number, origin }) => [number, origin]));
  const origins = logs.length > 0 ? logs.map(({ origin }) => origin) : [nextOrigin];
  const recorded = new Map(compromises.map((each) => [each.keyId, each]));
  return {
    handovers: handovers
      .filter(({ number }) => names.has(number))
      .toSorted((a, b) => a.number - b.number || a.index - b.index),
    keyMessage: (key) => keyMessage(key, origins, recorded.get(key.keyId)),
    handoverMessage: ({ number, fromKeyId, toKeyId, index, entry, proof }) =>
      create(LogHandoverSchema, {
        log: number,
        origin: names.get(number)!,
        fromKeyId,
        toKeyId,
        leafIndex: BigInt(index),
        entry,
        proof,
      }),
  };
}

function keyMessage(key: PublicSigningKey, origins: readonly string[], recorded: LogCompromise | undefined): PublicKey {
  const vkeys = origins.map((origin) => verifierKey(origin, key.publicKey));
  return create(PublicKeySchema, {
    keyId: key.keyId,
    version: key.version,
    jwk: create(JwkSchema, {
      kty: "OKP",
      crv: "Ed25519",
      x: Buffer.from(key.publicKey).toString("base64url"),
      kid: key.keyId,
      alg: "EdDSA",
      use: "sig",
    }),
    raw: key.publicKey,
    state: keyStates[key.state],
    ...(key.validFrom && { validFrom: timestampFromDate(key.validFrom) }),
    ...(key.validUntil && { validUntil: timestampFromDate(key.validUntil) }),
    ...(key.compromisedAt && { compromisedAt: timestampFromDate(key.compromisedAt) }),
    vkey: vkeys.at(-1)!,
    vkeys,
    ...(recorded && { compromisedLog: headMessage(recorded) }),
  });
}
