/**
 * Where Google's access tokens come from: the token endpoint, the metadata server, the token service of workload identity federation and
 * the one that lets a principal act as a service account. Each rule names its document.
 */
import { type KeyObject, randomBytes, verify } from "node:crypto";
import { fromNow, msFromNow } from "../support/from-now.ts";
import { failed, type Reply } from "./gcp-kms-rules.ts";

export interface TokenState {
  /** Those that Cloud KMS takes, and when each ends, in milliseconds since 1970. */
  tokens: Map<string, number>;
  /** Public keys of service accounts, by e-mail address. */
  accounts: Map<string, KeyObject>;
  /** Of users. */
  refreshTokens: Set<string>;
  /** Subject tokens that workload identity federation takes. */
  subjects: Set<string>;
  /** Whether a service account is attached to this machine. */
  isAttached: boolean;
  lifeSeconds: number;
}

export interface TokenRequest {
  method: string;
  path: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  form: URLSearchParams;
  body: Record<string, unknown>;
}

export function newTokenState(): TokenState {
  return {
    tokens: new Map(),
    accounts: new Map(),
    refreshTokens: new Set(),
    subjects: new Set(),
    isAttached: true,
    lifeSeconds: 3600,
  };
}

/** Undefined for a path that is none of theirs. */
export function tokenReply(state: TokenState, request: TokenRequest): Reply | undefined {
  const { path } = request;
  if (path.startsWith("/computeMetadata/v1/")) return metadataReply(state, request);
  if (path === "/token") return oauthReply(state, request);
  if (path === "/v1/token") return federationReply(state, request);
  if (/^\/v1\/projects\/-\/serviceAccounts\/[^/]+:generateAccessToken$/.test(path)) return actingReply(state, request);
  return undefined;
}

export function issue(state: TokenState): string {
  const token = `ya29.${randomBytes(24).toString("base64url")}`;
  state.tokens.set(token, msFromNow(state.lifeSeconds * 1000));
  return token;
}

/** https://cloud.google.com/compute/docs/metadata/querying-metadata: without the header nothing is told, and each answer has it too. */
function metadataReply(state: TokenState, { path, headers }: TokenRequest): Reply {
  if (headers["metadata-flavor"] !== "Google") return { status: 403, body: "Missing Metadata-Flavor:Google header." };
  const flavor = { "metadata-flavor": "Google" };
  const [resource] = path.slice("/computeMetadata/v1/".length).split("?");
  if (resource === "instance" || resource === "instance/")
    return { status: 200, body: "service-accounts/\n", headers: flavor };
  // https://cloud.google.com/compute/docs/access/authenticate-workloads
  if (resource === "instance/service-accounts/default/token" && state.isAttached) {
    return { status: 200, body: granted(state), headers: flavor };
  }
  return { status: 404, body: "<html>Error 404 (Not Found)!!1</html>", headers: flavor };
}

/** https://developers.google.com/identity/protocols/oauth2/service-account and …/oauth2/web-server#offline */
function oauthReply(state: TokenState, { method, form }: TokenRequest): Reply {
  if (method !== "POST") return refused("invalid_request", "Bad request");
  if (form.get("grant_type") === "refresh_token") {
    const isKnown = state.refreshTokens.has(form.get("refresh_token") ?? "");
    return isKnown
      ? { status: 200, body: granted(state) }
      : refused("invalid_grant", "Token has been expired or revoked.");
  }
  if (form.get("grant_type") !== "urn:ietf:params:oauth:grant-type:jwt-bearer")
    return refused("unsupported_grant_type", "");
  const [head = "", payload = "", signature = ""] = (form.get("assertion") ?? "").split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString() || "{}");
  const key = state.accounts.get(claims.iss);
  if (key === undefined) return refused("invalid_grant", "Invalid grant: account not found");
  const isSigned = verify("sha256", Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, "base64url"));
  if (!isSigned) return refused("invalid_grant", "Invalid JWT Signature.");
  const now = msFromNow(0) / 1000;
  const isInTime = claims.iat < now + 300 && claims.exp > now && claims.exp - claims.iat <= 3600;
  if (!isInTime)
    return refused(
      "invalid_grant",
      "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
    );
  const isForThis =
    claims.aud === "https://oauth2.googleapis.com/token" &&
    String(claims.scope).startsWith("https://www.googleapis.com/auth/");
  return isForThis
    ? { status: 200, body: granted(state) }
    : refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.");
}

/** https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token */
function federationReply(state: TokenState, { form }: TokenRequest): Reply {
  if (!state.subjects.has(form.get("subject_token") ?? ""))
    return refused("invalid_grant", "Unable to verify the ID Token signature.");
  if (!form.get("audience")?.startsWith("//iam.googleapis.com/projects/"))
    return refused("invalid_target", "The target service indicated by the audience is invalid.");
  return {
    status: 200,
    body: { ...granted(state), issued_token_type: "urn:ietf:params:oauth:token-type:access_token" },
  };
}

/** https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken */
function actingReply(state: TokenState, { headers, body }: TokenRequest): Reply {
  const isKnown = state.tokens.has(String(headers.authorization).replace(/^Bearer /, ""));
  if (!isKnown) return failed(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
  if (!Array.isArray(body.scope)) return failed(400, "INVALID_ARGUMENT", "Scope required.");
  const expireTime = fromNow(state.lifeSeconds * 1000).toISOString();
  return { status: 200, body: { accessToken: issue(state), expireTime } };
}

function granted(state: TokenState): Record<string, unknown> {
  return { access_token: issue(state), expires_in: state.lifeSeconds, token_type: "Bearer" };
}

/** https://www.rfc-editor.org/rfc/rfc6749#section-5.2 */
function refused(error: string, description: string): Reply {
  return { status: 400, body: { error, error_description: description } };
}
