/** GetPublicKeys: what a verifier needs, offline, years later. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type GetPublicKeysRequest,
  type GetPublicKeysResponse,
  GetPublicKeysResponseSchema,
  JwkSchema,
  type LogHandover,
  LogHandoverSchema,
  type PublicKey,
  PublicKeySchema,
} from "../../gen/ts/fluo/kms/v1/public_key_pb.ts";
import type { Keyring } from "../keys/keyring.ts";
import type { PublicKey as PublicSigningKey } from "../keys/public.ts";
import type { Published } from "../keys/published.ts";
import { verifierKey } from "../span/vkey.ts";
import type { CallContext } from "./context.ts";
import { keyStates } from "./key-names.ts";
import { headMessage } from "./log-head.ts";

export interface PublicKeyParts {
  keyring: Keyring;
  /** Names the log that a tenant will have: `<issuer>/<tenant_id>`. A log that there is keeps the name that it was born with. */
  issuer: string;
}

export function publicKeyHandlers({ keyring, issuer }: PublicKeyParts) {
  return {
    async getPublicKeys(request: GetPublicKeysRequest, call: CallContext): Promise<GetPublicKeysResponse> {
      const tenantId = call.caller.tenant(request.tenantId);
      const published = await keyring.published(tenantId, call);
      const origins =
        published.logs.length > 0 ? published.logs.map(({ origin }) => origin) : [`${issuer}/${tenantId}`];
      return create(GetPublicKeysResponseSchema, {
        keys: published.keys.map((key) => keyMessage(key, origins, published)),
        handovers: handoverMessages(published),
      });
    },
  };
}

function keyMessage(key: PublicSigningKey, origins: readonly string[], { compromises }: Published): PublicKey {
  const vkeys = origins.map((origin) => verifierKey(origin, key.publicKey));
  const recorded = compromises.find(({ keyId }) => keyId === key.keyId);
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

/** Of a log that is not known here yet they are left out with it. */
function handoverMessages({ handovers, logs }: Published): LogHandover[] {
  return logs.flatMap(({ number, origin }) =>
    handovers
      .filter((handover) => handover.number === number)
      .map(({ fromKeyId, toKeyId, index, entry, proof }) =>
        create(LogHandoverSchema, { log: number, origin, fromKeyId, toKeyId, leafIndex: BigInt(index), entry, proof }),
      ),
  );
}
