/** What Key Vault and Managed HSM do with a request about keys, and what they refuse. Each rule names its page. */
import type { AzureFaults } from "./azure-key-vault-faults.ts";
import { type FakeVaultKey, type FakeVersion, unwrap, wrap } from "./azure-key-vault-keys.ts";

export interface VaultState {
  /** As in https://localhost:8443. */
  url: string;
  keys: Map<string, FakeVaultKey>;
  /** Whether a role or policy denies this operation. */
  denies(operation: VaultOperation): boolean;
  faults: Required<AzureFaults>;
}

export type VaultOperation = "get" | "getVersion" | "wrapkey" | "unwrapkey" | "rotationpolicy";

/** An answer with a status that is no success. */
export class AzureError extends Error {
  readonly status: number;
  readonly code: string;
  readonly inner: string | undefined;

  constructor(status: number, code: string, message: string, inner?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.inner = inner;
  }
}

export interface KeyRequest {
  operation: VaultOperation;
  name: string;
  /** Empty for the current one: learn.microsoft.com/rest/api/keyvault/keys/wrap-key */
  version: string;
  body: unknown;
}

/** GET /keys/{name}, /keys/{name}/{version}, /keys/{name}/rotationpolicy; POST /keys/{name}/{version}/wrapkey. */
export function keyRequest(method: string, path: string, body: unknown): KeyRequest | undefined {
  const [, root, name = "", version = "", action] = path.split("/");
  if (root !== "keys" || name === "") return undefined;
  if (method === "POST" && (action === "wrapkey" || action === "unwrapkey")) {
    return { operation: action, name, version, body };
  }
  if (method !== "GET" || action !== undefined) return undefined;
  if (version === "rotationpolicy") return { operation: "rotationpolicy", name, version: "", body };
  return { operation: version === "" ? "get" : "getVersion", name, version, body };
}

export function answerTo(state: VaultState, { operation, name, version, body }: KeyRequest): Record<string, unknown> {
  refuseDenied(state, operation);
  const key = state.keys.get(name.toLowerCase());
  if (key === undefined || key.deleted) throw notFound(name);
  if (operation === "rotationpolicy")
    return { id: `${state.url}/keys/${key.name}/rotationpolicy`, ...key.rotationPolicy };
  const found = version === "" ? key.current : key.versions.find(({ id }) => id === version);
  if (found === undefined) throw notFound(`${name}/${version}`);
  if (operation === "get" || operation === "getVersion") return bundle(state, key, found);
  refuseUnusable(state, operation, found);
  const { alg, value } = body as { alg?: unknown; value?: unknown };
  if (typeof alg !== "string" || typeof value !== "string" || !/^[A-Za-z0-9_-]+$/.test(value)) throw badParameter();
  const bytes = Buffer.from(value, "base64url");
  const result = operation === "wrapkey" ? wrap(found, alg, bytes) : unwrap(found, alg, bytes);
  if (result === undefined) throw badParameter();
  return { kid: `${state.url}/keys/${key.name}/${found.id}`, value: result.toString("base64url") };
}

/** learn.microsoft.com/azure/key-vault/general/rbac-guide, and rest-error-codes#http-403-insufficient-permissions */
function refuseDenied({ denies }: VaultState, operation: VaultOperation): void {
  if (!denies(operation)) return;
  const message = "Caller is not authorized to perform action on resource.\r\nAssignment: (not found)\r\nVault: fluo";
  throw new AzureError(403, "Forbidden", message, "ForbiddenByRbac");
}

/** learn.microsoft.com/azure/key-vault/keys/about-keys-details#key-attributes and #date-time-controlled-operations, #key-operations */
function refuseUnusable({ faults }: VaultState, operation: "wrapkey" | "unwrapkey", version: FakeVersion): void {
  const [word, permission] = operation === "wrapkey" ? ["wrapKey", "wrapKey"] : ["unwrapKey", "unwrapKey"];
  const isWrap = operation === "wrapkey";
  if (!version.operations.includes(permission)) {
    throw new AzureError(403, "Forbidden", `Operation ${word} is not permitted on this key.`, "KeyOperationForbidden");
  }
  if (!version.enabled && !(isWrap && faults.wrapsWhileDisabled)) {
    throw new AzureError(403, "Forbidden", `Operation ${word} is not allowed on a disabled key.`, "KeyDisabled");
  }
  const now = new Date();
  if (isWrap && version.notBefore !== undefined && version.notBefore > now) {
    throw new AzureError(
      403,
      "Forbidden",
      `Operation ${word} is not allowed on a not yet valid key.`,
      "KeyNotYetValid",
    );
  }
  if (isWrap && version.expires !== undefined && version.expires <= now) {
    throw new AzureError(403, "Forbidden", `Operation ${word} is not allowed on an expired key.`, "KeyExpired");
  }
}

/** learn.microsoft.com/rest/api/keyvault/keys/get-key: a soft-deleted key is not found either. */
function notFound(what: string): AzureError {
  const message = `A key with (name/id) ${what} was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command.`;
  return new AzureError(404, "KeyNotFound", message);
}

function badParameter(): AzureError {
  return new AzureError(400, "BadParameter", "The parameter is incorrect.");
}

function bundle({ url }: VaultState, key: FakeVaultKey, version: FakeVersion): Record<string, unknown> {
  const seconds = (date: Date) => Math.floor(date.getTime() / 1000);
  const { id, type, bits, publicKey, operations, enabled, notBefore, expires, exportable, created } = version;
  const { n, e, crv, x, y } = publicKey?.export({ format: "jwk" }) ?? {};
  return {
    key: { kid: `${url}/keys/${key.name}/${id}`, kty: type, key_ops: operations, n, e, crv, x, y },
    attributes: {
      enabled,
      ...(notBefore && { nbf: seconds(notBefore) }),
      ...(expires && { exp: seconds(expires) }),
      created: seconds(created),
      updated: seconds(created),
      recoveryLevel: key.recoveryLevel,
      recoverableDays: 90,
      exportable,
      ...(type === "oct-HSM" && { key_size: bits }),
    },
  };
}
