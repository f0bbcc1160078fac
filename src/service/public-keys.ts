/** GetPublicKeys: what a verifier needs, offline, years later. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type GetPublicKeysRequest,
  type GetPublicKeysResponse,
  GetPublicKeysResponseSchema,
  JwkSchema,
  type PublicKey,
  PublicKeySchema,
} from "../../gen/ts/fluo/kms/v1/public_key_pb.ts";
import type { Keyring } from "../keys/keyring.ts";
import type { PublicKey as PublicSigningKey } from "../keys/public.ts";
import { verifierKey } from "../span/vkey.ts";
import type { CallContext } from "./context.ts";
import { keyStates } from "./key-names.ts";

export interface PublicKeyParts {
  keyring: Keyring;
  /** Names the logs: `<issuer>/<tenant_id>` is a log's origin. */
  issuer: string;
}

export function publicKeyHandlers({ keyring, issuer }: PublicKeyParts) {
  return {
    async getPublicKeys(request: GetPublicKeysRequest, call: CallContext): Promise<GetPublicKeysResponse> {
      const tenantId = call.caller.tenant(request.tenantId);
      const keys = await keyring.publicKeys(tenantId, call);
      return create(GetPublicKeysResponseSchema, { keys: keys.map((key) => toMessage(key, `${issuer}/${tenantId}`)) });
    },
  };
}

function toMessage(key: PublicSigningKey, origin: string): PublicKey {
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
    vkey: verifierKey(origin, key.publicKey),
  });
}
