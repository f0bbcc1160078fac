/** What Key Vault answers, through the real SDK, as our code and gRPC status, and whether it is asked again; and what an operator is told. */
import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { type KmsError, type KmsErrorCode, RpcCode, rpcCode } from "../../../src/errors.ts";
import { dependable } from "../../../src/provider/failover.ts";
import type { Provider } from "../../../src/provider/provider.ts";
import { realTime } from "../../../src/runtime/time.ts";
import type { AzureFault, AzureKeyVaultFake } from "../../fakes/azure-key-vault.ts";
import { thrownBy } from "../../support/matchers.ts";
import { canServe, context, openOn, startFake } from "../../support/azure-fixture.ts";

type Operation = "wrapkey" | "unwrapkey" | "get";

interface Row {
  what: string;
  operation?: Operation;
  answer: AzureFault;
  code: KmsErrorCode;
  status: RpcCode;
  isRetried: boolean;
  /** Part of what the caller is told. */
  says: string;
  /** Part of what an operator is told, KEY for the key's identifier and VERSION for its version; undefined for nothing. */
  advice: string | undefined;
}

const html = "<html><body>Secret-looking words</body></html>";
const changed = (members: Record<string, unknown>): AzureFault => ({ change: (answer) => ({ ...answer, ...members }) });
const forbidden = (inner: string, message = ""): AzureFault => ({ code: "Forbidden", inner, message, status: 403 });
const otherKid = (change: (kid: string) => string): AzureFault => ({
  change: (answer) => ({ ...answer, kid: change(String(answer.kid)) }),
});

const rejected = {
  code: "CIPHERTEXT_REJECTED",
  status: RpcCode.INVALID_ARGUMENT,
  isRetried: false,
  says: "ciphertext rejected",
  advice: undefined,
} as const;
const denied = { code: "PROVIDER_DENIED", status: RpcCode.FAILED_PRECONDITION, isRetried: false } as const;
const unavailable = {
  code: "PROVIDER_UNAVAILABLE",
  status: RpcCode.UNAVAILABLE,
  isRetried: true,
  advice: undefined,
} as const;
const cannot = { ...unavailable, says: "cannot answer now" };
const untrusted = { ...unavailable, says: "not to be trusted" };
/** What no honest provider answers. */
const lie = { ...denied, says: "not to be trusted", advice: "the provider is not to be trusted" };
const role = (action: string) =>
  `Microsoft.KeyVault/vaults/keys/${action}/action: az role assignment create --role "Key Vault Crypto Service Encryption User"`;

const rows: Row[] = [
  { what: "rubbish", answer: { code: "BadParameter", status: 400 }, ...rejected },
  { what: "rubbish of another name", answer: { code: "Invalid", status: 400 }, ...rejected },
  {
    what: "a malformed request",
    operation: "wrapkey",
    answer: { code: "BadParameter", status: 400 },
    ...denied,
    says: "does not take the request",
    advice: "az keyvault key show --id KEY/VERSION",
  },
  {
    what: "a disabled key",
    answer: forbidden("KeyDisabled"),
    ...denied,
    says: "key is disabled",
    advice: "az keyvault key set-attributes --id KEY/VERSION --enabled true",
  },
  {
    what: "a disabled key in the SDK's spelling",
    answer: { code: "Forbidden", inner: "KeyDisabled", status: 403, spelt: "innerError" },
    ...denied,
    says: "key is disabled",
    advice: "az keyvault key set-attributes --id KEY/VERSION --enabled true",
  },
  {
    what: "a key that is not valid yet",
    operation: "wrapkey",
    answer: forbidden("KeyNotYetValid"),
    ...denied,
    says: "not valid yet",
    advice: "az keyvault key set-attributes --id KEY/VERSION --not-before",
  },
  {
    what: "a key that has expired",
    operation: "wrapkey",
    answer: forbidden("KeyExpired"),
    ...denied,
    says: "has expired",
    advice: "az keyvault key rotate --id KEY",
  },
  {
    what: "an operation that the key does not permit",
    answer: forbidden("KeyOperationForbidden"),
    ...denied,
    says: "does not permit this operation",
    advice: "az keyvault key set-attributes --id KEY/VERSION --ops wrapKey unwrapKey",
  },
  { what: "no role", answer: forbidden("ForbiddenByRbac"), ...denied, says: "denies access", advice: role("unwrap") },
  {
    what: "no role, to wrap",
    operation: "wrapkey",
    answer: forbidden("ForbiddenByRbac"),
    ...denied,
    says: "denies access",
    advice: role("wrap"),
  },
  {
    what: "no access policy",
    answer: forbidden("AccessDenied"),
    ...denied,
    says: "denies access",
    advice: "az keyvault set-policy --name localhost --object-id OBJECT-ID --key-permissions get wrapKey unwrapKey",
  },
  {
    what: "a refusal that says no more",
    answer: { code: "Forbidden", status: 403 },
    ...denied,
    says: "denies access",
    advice: role("unwrap"),
  },
  {
    what: "the firewall",
    answer: forbidden("ForbiddenByFirewall"),
    ...denied,
    says: "firewall refuses",
    advice: "az keyvault network-rule add --name localhost --ip-address ADDRESS",
  },
  {
    what: "the firewall by its words",
    answer: {
      code: "Forbidden",
      message: "Client address is not authorized and caller is not a trusted service.",
      status: 403,
    },
    ...denied,
    says: "firewall refuses",
    advice: "az keyvault network-rule list --name localhost",
  },
  {
    what: "a closed public network",
    answer: forbidden("ForbiddenByConnection"),
    ...denied,
    says: "firewall refuses",
    advice: "private endpoint",
  },
  {
    what: "a key that is not there",
    operation: "wrapkey",
    answer: { code: "KeyNotFound", status: 404 },
    ...denied,
    says: "does not exist",
    advice:
      "az keyvault key list-deleted --vault-name localhost, az keyvault key recover --vault-name localhost --name fluo",
  },
  {
    what: "a key in deletion",
    answer: { code: "Conflict", inner: "ObjectIsBeingDeleted", status: 409 },
    ...denied,
    says: "was deleted",
    advice: "az keyvault key recover --vault-name localhost --name fluo",
  },
  {
    what: "a deleted key",
    answer: { code: "Conflict", inner: "ObjectIsDeletedButRecoverable", status: 409 },
    ...denied,
    says: "was deleted",
    advice: "az keyvault key recover --vault-name localhost --name fluo",
  },
  {
    what: "a deleted key by its words",
    answer: { code: "Conflict", message: "Key fluo is currently in a deleted but recoverable state.", status: 409 },
    ...denied,
    says: "was deleted",
    advice: "az keyvault key recover --vault-name localhost --name fluo",
  },
  {
    what: "a deleted vault by its words",
    answer: { code: "Forbidden", message: "The vault is soft-deleted.", status: 403 },
    ...denied,
    says: "was deleted",
    advice: "az keyvault key recover --vault-name localhost --name fluo",
  },
  {
    what: "a vault that is not there",
    operation: "wrapkey",
    answer: { code: "VaultNotFound", status: 404 },
    ...denied,
    says: "does not exist",
    advice: "Check azure.key-vault.key (KEY)",
  },
  {
    what: "a key in recovery",
    answer: { code: "Conflict", inner: "ObjectIsBeingRecovered", status: 409 },
    ...unavailable,
    says: "being recovered",
  },
  { what: "another conflict", answer: { code: "Conflict", status: 409 }, ...cannot },
  {
    what: "throttling",
    answer: { code: "Throttled", status: 429, headers: { "Retry-After": "30" } },
    ...unavailable,
    says: "throttles",
    advice: "az monitor metrics list",
  },
  { what: "a failure inside", answer: { code: "InternalServerError", status: 500 }, ...cannot },
  { what: "a service that is not there", answer: { code: "ServiceUnavailable", status: 503 }, ...cannot },
  {
    what: "a 5xx by the name of a refusal",
    answer: { code: "Forbidden", inner: "KeyDisabled", status: 503 },
    ...cannot,
  },
  { what: "an error that is not known", answer: { code: "Teapot", status: 418 }, ...cannot },
  { what: "an empty 502", answer: { body: "", status: 502 }, ...cannot },
  { what: "an empty 400", answer: { body: "", status: 400 }, ...cannot },
  { what: "an HTML page with 403", answer: { body: html, status: 403, contentType: "text/html" }, ...cannot },
  { what: "an HTML page with 404", answer: { body: html, status: 404, contentType: "text/html" }, ...cannot },
  { what: "JSON of a proxy with 403", answer: { body: '{"error":"no"}', status: 403 }, ...cannot },
  {
    what: "a redirect",
    answer: { body: "", status: 307, headers: { Location: "https://localhost:1/keys/fluo" } },
    ...cannot,
  },
  { what: "an HTML page with 200", answer: { body: html, contentType: "text/html" }, ...untrusted },
  {
    what: "half an answer",
    answer: { body: '{"kid":"https://x","value":"c2VjcmV0' },
    ...unavailable,
    says: "cannot be read",
  },
  { what: "an answer that breaks off", answer: "truncated", ...unavailable, says: "cannot be reached" },
  { what: "a reset connection", answer: "reset", ...unavailable, says: "cannot be reached" },
  { what: "an empty answer", answer: { body: "{}" }, ...untrusted },
  { what: "nothing at all", answer: { body: "" }, ...unavailable, says: "cannot be read" },
  { what: "an answer that is no object", answer: { body: "null" }, ...unavailable, says: "cannot be read" },
  { what: "an empty wrap", operation: "wrapkey", answer: { body: "{}" }, ...untrusted },
  {
    what: "a key of another key",
    answer: otherKid((kid) => kid.replace("/fluo/", "/other/")),
    ...lie,
  },
  {
    what: "a key of another vault",
    answer: otherKid((kid) => kid.replace("localhost", "elsewhere")),
    ...lie,
  },
  { what: "a key of another version", answer: otherKid((kid) => kid.slice(0, -32) + "0".repeat(32)), ...untrusted },
  { what: "a key of no version", answer: otherKid((kid) => kid.slice(0, -33)), ...untrusted },
  { what: "no key", answer: changed({ value: undefined }), ...untrusted },
  { what: "a key that is a number", answer: changed({ value: 5 }), ...untrusted },
  { what: "a key that is short", answer: changed({ value: randomBytes(31).toString("base64url") }), ...untrusted },
  {
    what: "a wrap under another version",
    operation: "wrapkey",
    answer: otherKid((kid) => kid.slice(0, -32) + "0".repeat(32)),
    ...untrusted,
  },
  {
    what: "a wrap of another length",
    operation: "wrapkey",
    answer: changed({ value: randomBytes(255).toString("base64url") }),
    ...untrusted,
  },
];

describe.skipIf(!canServe)("Key Vault answers with", () => {
  let vault: AzureKeyVaultFake;
  let provider: Provider;
  let resilient: Provider;
  let wrapped: Uint8Array;
  let version: string;
  beforeAll(async () => {
    vault = await startFake();
    version = vault.createKey("fluo").current.id;
    provider = await openOn(vault, "fluo");
    const options = { time: realTime, firstPauseMs: 1, maxPauseMs: 1, breakAfter: 1_000, retryBudget: 1_000 };
    resilient = dependable([await openOn(vault, "fluo")], options);
    ({ wrapped } = await provider.generateDataKey(context));
  });

  const calls: Record<Operation, (to: Provider) => Promise<unknown>> = {
    wrapkey: (to) => to.generateDataKey(context),
    unwrapkey: (to) => to.decrypt(wrapped, context),
    get: (to) => to.describe(),
  };

  it.each(rows.map((row) => ({ operation: "unwrapkey" as Operation, ...row })))(
    "$what ($operation): $code, status $status, retried: $isRetried",
    async ({ operation, answer, code, status, isRetried, says, advice }) => {
      const call = calls[operation];
      vault.once(answer, operation);
      const error = (await thrownBy(() => call(provider))) as KmsError;
      expect(error).toBeKmsError(code, says);
      expect(rpcCode[code]).toBe(status);
      if (advice === undefined) expect(error.advice).toBeUndefined();
      else expect(error.advice).toContain(advice.replace("KEY", provider.keyId).replace("VERSION", version));

      vault.once(answer, operation);
      const before = vault.calls[operation]!;
      if (isRetried) await call(resilient);
      else expect(await thrownBy(() => call(resilient))).toBeKmsError(code, says);
      expect(vault.calls[operation]! - before).toBe(isRetried ? 2 : 1);
    },
  );

  it("words that stay out of what a caller is told", async () => {
    vault.once(forbidden("ForbiddenByRbac", "Caller is not authorized\r\nCaller: appid=1234;oid=5678"), "unwrapkey");
    const error = (await thrownBy(() => provider.decrypt(wrapped, context))) as KmsError;
    expect(error.message).toBe("the provider denies access to its key");
    expect(String(error.cause)).toContain("HTTP 403 ForbiddenByRbac in Forbidden Caller is not authorized");
  });

  it("half a key, which is in nothing that the error carries", async () => {
    vault.once({ body: '{"kid":"https://x","value":"c2VjcmV0LWtleQ' }, "unwrapkey");
    const error = await thrownBy(() => provider.decrypt(wrapped, context));
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain("c2VjcmV0");
  });

  it("an error to a request with a token, which is in nothing that the error carries", async () => {
    for (const answer of [{ code: "Forbidden", status: 403 }, { body: "", status: 502 }, "reset"] as AzureFault[]) {
      vault.once(answer, "unwrapkey");
      const error = await thrownBy(() => provider.decrypt(wrapped, context));
      expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/bearer|authorization/i);
    }
  });

  it("a state that is none: no answer, and no refusal of the key", async () => {
    for (const change of [
      { attributes: {} },
      { attributes: { enabled: "yes" } },
      { attributes: { enabled: true, exp: "tomorrow" } },
      { key: { kty: 5 } },
      { key: { n: undefined } },
      { key: { kid: undefined } },
      { key: { kid: `${vault.url}/keys/other/${"0".repeat(32)}` } },
      { key: undefined },
    ] as Record<string, object | undefined>[]) {
      const merged = (answer: Record<string, unknown>) =>
        Object.fromEntries(
          Object.entries({ ...answer, ...change }).map(([name, value]) => [
            name,
            value === change[name] && name === "key" && value !== undefined
              ? { ...(answer[name] as object), ...value }
              : value,
          ]),
        );
      vault.once({ change: merged }, "get");
      expect(await thrownBy(() => provider.describe())).toBeKmsError("PROVIDER_UNAVAILABLE");
    }
  });
});
