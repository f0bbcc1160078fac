/**
 * What HashiCorp Vault answers, as far as a transit key is concerned: tokens, logins, policies and AES-256-GCM with associated data.
 * Texts and statuses are those of its documents and sources, named at each rule; no I/O, so that vault.ts is the server alone.
 */
import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from "node:crypto";

export interface Call {
  method: string;
  /** Behind /v1/. */
  path: string;
  token: string | undefined;
  namespace: string;
  body: Record<string, unknown>;
}

export interface Reply {
  status: number;
  body?: unknown;
}

export interface FakeToken {
  /** Absolute paths to capabilities; "root" may all. */
  policy: ReadonlyMap<string, readonly string[]> | "root";
  /** Whether the built-in default policy lets it ask of and renew itself. */
  selfService: boolean;
  ttlSeconds: number;
  maxSeconds: number;
  renewable: boolean;
  madeAtMs: number;
  expiresAtMs: number;
}

export interface FakeKey {
  type: string;
  versions: Map<number, { secret: Buffer; created: number }>;
  /** What reading the key shows besides, and over, what follows from its versions. */
  shows: Record<string, unknown>;
  minDecryptionVersion: number;
  softDeleted: boolean;
}

export interface FakeLogin {
  /** What the login must hold, exactly. */
  secrets: Record<string, string>;
  /** Of the tokens that it gives. */
  ttlSeconds: number;
  maxSeconds: number;
  renewable: boolean;
  policy: FakeToken["policy"];
}

export interface FakeState {
  keys: Map<string, FakeKey>;
  tokens: Map<string, FakeToken>;
  /** By path, as in auth/approle/login. */
  logins: Map<string, FakeLogin>;
  namespaces: Set<string>;
  /** Parameters that this server does not know, as one before associated data. */
  unknownParameters: Set<string>;
  /** How a dead token is told of: HashiCorp's since 1.17, or as it was before and is in OpenBao. */
  deadTokenText: string;
  now(): number;
}

/** https://developer.hashicorp.com/vault/docs/concepts/tokens#error-responses */
export const invalidToken = "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n";
export const bareDenial = "permission denied";
/** A policy's, in the same document. */
export const policyDenial = "1 error occurred:\n\t* permission denied\n\n";

export function newKey(state: Pick<FakeState, "now">, type = "aes256-gcm96"): FakeKey {
  const key: FakeKey = { type, versions: new Map(), shows: {}, minDecryptionVersion: 1, softDeleted: false };
  rotateKey(state, key);
  return key;
}

export function rotateKey({ now }: Pick<FakeState, "now">, { versions }: FakeKey): void {
  const version = Math.max(0, ...versions.keys()) + 1;
  versions.set(version, { secret: randomBytes(32), created: Math.floor(now() / 1000) });
}

export function reply(state: FakeState, call: Call): Reply {
  const login = state.logins.get(call.path);
  if (login !== undefined) return loggedIn(state, login, call);
  if (!state.namespaces.has(call.namespace)) return failed(404, "namespace not found");
  const token = call.token === undefined ? undefined : state.tokens.get(call.token);
  if (token === undefined || token.expiresAtMs <= state.now()) return failed(403, state.deadTokenText);
  const self = selfService[`${call.method} ${call.path}`];
  if (self !== undefined) return token.selfService ? self(state, token, call) : failed(403, policyDenial);
  return transit(state, token, call);
}

/** https://developer.hashicorp.com/vault/api-docs/auth/approle#login-with-approle, …/auth/kubernetes#login */
function loggedIn(state: FakeState, login: FakeLogin, { path, body }: Call): Reply {
  const right = JSON.stringify(Object.entries(body).sort()) === JSON.stringify(Object.entries(login.secrets).sort());
  if (!right) return path.includes("kubernetes") ? failed(403, bareDenial) : failed(400, "invalid role or secret ID");
  const [id, token] = issueToken(state, login);
  return { status: 200, body: { auth: authIn(id, token, token.ttlSeconds) } };
}

export function issueToken(state: FakeState, login: Omit<FakeLogin, "secrets">): [string, FakeToken] {
  const { policy, ttlSeconds, maxSeconds, renewable } = login;
  const madeAtMs = state.now();
  // A root token without a lease shows a ttl of 0: https://developer.hashicorp.com/vault/docs/concepts/tokens#root-tokens
  const expiresAtMs = ttlSeconds === 0 ? Number.POSITIVE_INFINITY : madeAtMs + ttlSeconds * 1000;
  const token = { policy, selfService: true, ttlSeconds, maxSeconds, renewable, madeAtMs, expiresAtMs };
  const id = `hvs.${randomBytes(18).toString("base64url")}`;
  state.tokens.set(id, token);
  return [id, token];
}

/** https://developer.hashicorp.com/vault/api-docs/auth/token; the paths are in the default policy. */
const selfService: Record<string, (state: FakeState, token: FakeToken, call: Call) => Reply> = {
  "GET auth/token/lookup-self": ({ now }, { expiresAtMs, renewable }, call) => {
    const ttl = expiresAtMs === Number.POSITIVE_INFINITY ? 0 : Math.ceil((expiresAtMs - now()) / 1000);
    return { status: 200, body: { data: { id: call.token, ttl, renewable } } };
  },
  "POST auth/token/renew-self": ({ now }, token, call) => {
    if (!token.renewable) return failed(400, "lease is not renewable");
    // Never past its longest life: https://developer.hashicorp.com/vault/docs/concepts/tokens#token-time-to-live-periodic-tokens-and-explicit-max-ttls
    const leftMs = token.madeAtMs + token.maxSeconds * 1000 - now();
    const seconds = Math.floor(Math.min(token.ttlSeconds, leftMs / 1000));
    token.expiresAtMs = now() + seconds * 1000;
    return { status: 200, body: { auth: authIn(call.token!, token, seconds) } };
  },
  "POST auth/token/revoke-self": ({ tokens }, _token, call) => {
    tokens.delete(call.token!);
    return { status: 204 };
  },
  // https://developer.hashicorp.com/vault/api-docs/system/capabilities-self
  "POST sys/capabilities-self": (_state, { policy }, { body }) => {
    const of = (path: string) => (policy === "root" ? ["root"] : (policy.get(path) ?? ["deny"]));
    return {
      status: 200,
      body: { data: Object.fromEntries((body.paths as string[]).map((path) => [path, of(path)])) },
    };
  },
};

function authIn(id: string, { renewable }: FakeToken, seconds: number) {
  return { client_token: id, lease_duration: seconds, renewable, token_type: "service" };
}

/** https://developer.hashicorp.com/vault/api-docs/secret/transit */
function transit(state: FakeState, token: FakeToken, call: Call): Reply {
  const [, mount, what, name] = /^(.+)\/(encrypt|decrypt|keys)\/([^/]+)$/.exec(call.path) ?? [];
  const place = `${call.namespace === "" ? "" : `${call.namespace}/`}${mount}/keys/`;
  const exists = state.keys.get(`${place}${name}`);
  const capability = call.method === "GET" ? "read" : exists === undefined && what === "encrypt" ? "create" : "update";
  if (token.policy !== "root" && !token.policy.get(call.path)?.includes(capability)) return failed(403, policyDenial);
  if (mount === undefined || ![...state.keys.keys()].some((path) => path.startsWith(place))) {
    return failed(404, `no handler for route "${call.path}". route entry not found.`);
  }
  if (what === "keys") return exists === undefined ? failed(404) : { status: 200, body: { data: shown(exists) } };
  if (exists === undefined && capability === "create") state.keys.set(`${place}${name}`, newKey(state));
  const key = state.keys.get(`${place}${name}`);
  if (key === undefined) return failed(400, "encryption key not found");
  if (key.softDeleted) return failed(400, "refusing to use soft-deleted key");
  return what === "encrypt" ? encrypt(state, key, call) : decrypt(state, key, call);
}

function shown(key: FakeKey) {
  return {
    type: key.type,
    keys: Object.fromEntries([...key.versions].map(([version, { created }]) => [version, created])),
    latest_version: Math.max(...key.versions.keys()),
    min_decryption_version: key.minDecryptionVersion,
    min_encryption_version: 0,
    derived: false,
    exportable: false,
    allow_plaintext_backup: false,
    deletion_allowed: false,
    auto_rotate_period: 2_592_000,
    ...(key.softDeleted && { soft_deleted: true }), // OpenBao's
    ...key.shows,
  };
}

function encrypt(state: FakeState, key: FakeKey, { body }: Call): Reply {
  const { plaintext, aad, warnings } = read(state, body, "plaintext");
  const version = Math.max(...key.versions.keys());
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key.versions.get(version)!.secret, nonce).setAAD(aad);
  const sealed = Buffer.concat([nonce, cipher.update(plaintext!), cipher.final(), cipher.getAuthTag()]);
  const data = { ciphertext: `vault:v${version}:${sealed.toString("base64")}`, key_version: version };
  return { status: 200, body: { request_id: randomUUID(), data, warnings } };
}

/** In the order of sdk/helper/keysutil/policy.go: form, version, length, tag. */
function decrypt(state: FakeState, key: FakeKey, { body }: Call): Reply {
  const { aad, warnings } = read(state, body, "ciphertext");
  const [, digits, text] = /^vault:v([^:]*):(.*)$/s.exec(String(body.ciphertext)) ?? [];
  if (digits === undefined || text === undefined) return failed(400, "invalid ciphertext: no prefix");
  if (!/^[0-9]+$/.test(digits)) return failed(400, "invalid ciphertext: version number could not be decoded");
  const version = Number(digits) || 1; // v0 is v1
  if (version > Math.max(...key.versions.keys())) return failed(400, "invalid ciphertext: version is too new");
  if (version < key.minDecryptionVersion) {
    return failed(400, "ciphertext or signature version is disallowed by policy (too old)");
  }
  const sealed = Buffer.from(text, "base64");
  if (sealed.length < 28) return failed(400, "invalid ciphertext length");
  const secret = key.versions.get(version)!.secret;
  try {
    const decipher = createDecipheriv("aes-256-gcm", secret, sealed.subarray(0, 12), { authTagLength: 16 });
    decipher.setAAD(aad).setAuthTag(sealed.subarray(-16));
    const plaintext = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
    return {
      status: 200,
      body: { request_id: randomUUID(), data: { plaintext: plaintext.toString("base64") }, warnings },
    };
  } catch {
    return failed(400, "cipher: message authentication failed");
  }
}

/** What it does not know it ignores, and warns: https://github.com/hashicorp/vault/pull/14962 */
function read({ unknownParameters }: FakeState, body: Record<string, unknown>, name: string) {
  const known = new Set([name, "associated_data"].filter((each) => !unknownParameters.has(each)));
  const ignored = Object.keys(body).filter((each) => !known.has(each));
  const of = (field: string) => (known.has(field) ? Buffer.from(String(body[field] ?? ""), "base64") : Buffer.alloc(0));
  return {
    plaintext: name === "plaintext" ? of("plaintext") : undefined,
    aad: of("associated_data"),
    warnings: ignored.length === 0 ? null : [`Endpoint ignored these unrecognized parameters: [${ignored.join(" ")}]`],
  };
}

/** https://developer.hashicorp.com/vault/api-docs#error-response */
export function failed(status: number, ...errors: string[]): Reply {
  return { status, body: { errors } };
}
