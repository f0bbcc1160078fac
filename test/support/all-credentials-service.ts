/**
 * A service under a policy that believes all kinds of credentials, an issuer of tokens that answers by HTTPS and one that
 * does not answer; and one call by each port, with any credential.
 */
import * as grpc from "@grpc/grpc-js";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  StatusRequestSchema,
  type StatusResponse,
  StatusResponseSchema,
} from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { newStaticToken } from "../../src/auth/token/static-token.ts";
import type { ConnectionSettings } from "../../src/limits/connection-settings.ts";
import { secondsFromNow } from "./from-now.ts";
import { startHttpsIssuer } from "./https-issuer.ts";
import { type Issued, newAuthority } from "./pki.ts";
import { bearer, bearerHeaders, type HttpAnswer, startService, type TlsService } from "./running-service.ts";
import { type Json, sharedKey, tokenBy } from "./signed-tokens.ts";

export interface Credential {
  certificate?: Issued;
  token?: string;
}

export interface AllCredentials extends TlsService {
  policy: string;
  /** Callers with all roles for all tenants, one a kind. */
  shown: { certificate: Issued; jwt: string; token: string };
  /** A token of the issuer that answers (`sso`), or of the one that does not (`down`). */
  tokenOf(issuer: "sso" | "down", claims?: Json): string;
  /** A certificate of the authority that the policy believes. */
  issue: ReturnType<typeof newAuthority>["issue"];
  /** Status by each port, refused or not. */
  onBoth(credential: Credential): Promise<void>;
  status(credential: Credential, tenantId?: string): Promise<StatusResponse>;
  get(path: string, credential?: Credential): Promise<HttpAnswer>;
}

const roles = "[sign, verify, encrypt, generate-data-key, status, operate, metrics]";

/** `bounds` hold in place of constants. */
export async function startAllCredentials(
  properties: Record<string, string> = {},
  bounds: Partial<ConnectionSettings> = {},
): Promise<AllCredentials> {
  const [web, key, made] = [newAuthority({ name: "web" }), sharedKey("ES256", "a"), newStaticToken()];
  const sso = await startHttpsIssuer(key.jwk);
  const policy = `version: 1
certificates: [{ name: web, dns: [.internal.example.org], ca: web.pem, crl: web.crl }]
issuers:
  - { name: sso, issuer: "${sso.url}", audience: fluo-kms, jwks: "${sso.url}/jwks", ca: sso.pem }
  - { name: down, issuer: "https://localhost:9", audience: fluo-kms }
tokens: [{ name: ops, sha256: ${made.sha256}, expires: 2099-01-01 }]
rules:
  - { name: web, who: { dns: { certificates: web, name: a.internal.example.org } }, roles: ${roles}, tenants: "*" }
  - { name: sso, who: { jwt: { issuer: sso, subject: ann } }, roles: ${roles}, tenants: "*" }
  - { name: ops, who: { token: ops }, roles: ${roles}, tenants: "*" }
`;
  const service = await startService(properties, {
    tls: true,
    files: { "policy.yaml": policy, "web.pem": web.pem, "web.crl": web.crl(), "sso.pem": sso.ca },
    bounds,
  });
  const now = secondsFromNow(0);
  const tokenOf: AllCredentials["tokenOf"] = (issuer, claims = {}) => {
    const iss = issuer === "sso" ? sso.url : "https://localhost:9";
    return tokenBy(key, { iss, sub: "ann", aud: "fluo-kms", iat: now, exp: now + 600, ...claims });
  };

  async function status({ certificate, token }: Credential, tenantId = ""): Promise<StatusResponse> {
    const client = service.client(certificate);
    const request = toBinary(StatusRequestSchema, create(StatusRequestSchema, { tenantId }));
    try {
      return fromBinary(StatusResponseSchema, await client.raw("status", request, {}, bearer(token)));
    } finally {
      client.close();
    }
  }

  const get: AllCredentials["get"] = (path, { certificate, token } = {}) =>
    service.http(path, { headers: bearerHeaders(token), ...(certificate && { certificate }) });

  return {
    ...service,
    policy,
    tokenOf,
    status,
    get,
    issue: web.issue,
    shown: {
      certificate: web.issue({ dns: ["a.internal.example.org"] }),
      jwt: tokenOf("sso"),
      token: made.token,
    },
    async onBoth(credential) {
      await status(credential).catch((error: grpc.ServiceError) => {
        if (!(error.metadata instanceof grpc.Metadata)) throw error;
      });
      await get("/api/admin/kms/status", credential);
    },
    async stop() {
      await service.stop();
      await sso.stop();
    },
  };
}
