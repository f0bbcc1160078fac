/** What Key Vault answers, through the real SDK, as our code; and what an operator is told. */
import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { describe, expect } from "vitest";
import type { AzureFault } from "../../fakes/azure-key-vault.ts";
import { canServe, openOn, startFake } from "../../support/azure-fixture.ts";
import { type AnswerRow, answersOf, context, denied, halfSecret, html, unavailable, verdicts } from "../answers.ts";

type Operation = "wrapkey" | "unwrapkey" | "get" | "rotationpolicy";
type Row = AnswerRow<AzureFault, Operation>;
type Members = Record<string, unknown>;

const failed = (status: number, code: string, inner?: string) =>
  inner === undefined ? { code, status } : { code, status, inner };
const forbidden = (inner: string) => failed(403, "Forbidden", inner);
const inWords = (status: number, code: string, message: string): AzureFault => ({ code, message, status });
const page = (status: number, body = html): AzureFault => ({ body, status, contentType: "text/html" });
const changed = (members: Members): AzureFault => ({ change: (answer) => ({ ...answer, ...members }) });
const withKey = (members: Members): AzureFault => ({
  change: ({ key, ...rest }) => ({ ...rest, key: { ...(key as object), ...members } }),
});
const otherKid = (change: (kid: string) => string): AzureFault => ({
  change: (answer) => ({ ...answer, kid: change(String(answer.kid)) }),
});
const otherVersion = otherKid((kid) => kid.slice(0, -32) + "0".repeat(32));

const { cannot, lie, rejected, unreadable, unreachable, untrusted } = verdicts;
// KEY is the key's identifier, VERSION its version.
const disabled = denied("key is disabled", "az keyvault key set-attributes --id KEY/VERSION --enabled true");
const deleted = denied("was deleted", "az keyvault key recover --vault-name localhost --name fluo");
const gone =
  "az keyvault key list-deleted --vault-name localhost, az keyvault key recover --vault-name localhost --name fluo";
const noRole = (action: string) =>
  denied(
    "denies access",
    `Microsoft.KeyVault/vaults/keys/${action}/action: az role assignment create --role "Key Vault Crypto Service Encryption User"`,
  );

const rows: readonly Row[] = [
  ["rubbish", failed(400, "BadParameter"), rejected],
  ["rubbish of another name", failed(400, "Invalid"), rejected],
  [
    "a malformed request",
    failed(400, "BadParameter"),
    denied("does not take the request", "az keyvault key show --id KEY/VERSION"),
    "wrapkey",
  ],
  ["a disabled key", forbidden("KeyDisabled"), disabled],
  [
    "a disabled key in the SDK's spelling",
    { code: "Forbidden", inner: "KeyDisabled", status: 403, spelt: "innerError" },
    disabled,
  ],
  [
    "a key that is not valid yet",
    forbidden("KeyNotYetValid"),
    denied("not valid yet", "az keyvault key set-attributes --id KEY/VERSION --not-before"),
    "wrapkey",
  ],
  [
    "a key that has expired",
    forbidden("KeyExpired"),
    denied("has expired", "az keyvault key rotate --id KEY"),
    "wrapkey",
  ],
  [
    "an operation that the key does not permit",
    forbidden("KeyOperationForbidden"),
    denied("does not permit this operation", "az keyvault key set-attributes --id KEY/VERSION --ops wrapKey unwrapKey"),
  ],
  [
    "no role",
    { ...forbidden("ForbiddenByRbac"), message: "Not authorized\r\nCaller: appid=1234" },
    noRole("unwrap"),
    "unwrapkey",
    "HTTP 403 ForbiddenByRbac in Forbidden Not authorized",
  ],
  ["no role, to wrap", forbidden("ForbiddenByRbac"), noRole("wrap"), "wrapkey"],
  [
    "no access policy",
    forbidden("AccessDenied"),
    denied(
      "denies access",
      "az keyvault set-policy --name localhost --object-id OBJECT-ID --key-permissions get wrapKey unwrapKey",
    ),
  ],
  ["a refusal that says no more", failed(403, "Forbidden"), noRole("unwrap")],
  [
    "the firewall",
    forbidden("ForbiddenByFirewall"),
    denied("firewall refuses", "az keyvault network-rule add --name localhost --ip-address ADDRESS"),
  ],
  [
    "the firewall by its words",
    inWords(403, "Forbidden", "Client address is not authorized and caller is not a trusted service."),
    denied("firewall refuses", "az keyvault network-rule list --name localhost"),
  ],
  ["a closed public network", forbidden("ForbiddenByConnection"), denied("firewall refuses", "private endpoint")],
  ["a key that is not there", failed(404, "KeyNotFound"), denied("does not exist", gone), "wrapkey"],
  ["a key in deletion", failed(409, "Conflict", "ObjectIsBeingDeleted"), deleted],
  ["a deleted key", failed(409, "Conflict", "ObjectIsDeletedButRecoverable"), deleted],
  [
    "a deleted key by its words",
    inWords(409, "Conflict", "Key fluo is currently in a deleted but recoverable state."),
    deleted,
  ],
  ["a deleted vault by its words", inWords(403, "Forbidden", "The vault is soft-deleted."), deleted],
  [
    "a vault that is not there",
    failed(404, "VaultNotFound"),
    denied("does not exist", "Check azure.key-vault.key (KEY)"),
    "wrapkey",
  ],
  ["a key in recovery", failed(409, "Conflict", "ObjectIsBeingRecovered"), unavailable("being recovered")],
  ["another conflict", failed(409, "Conflict"), cannot],
  [
    "throttling",
    { code: "Throttled", status: 429, headers: { "Retry-After": "30" } },
    unavailable("throttles", "az monitor metrics list"),
  ],
  ["a failure inside", failed(500, "InternalServerError"), cannot],
  ["a service that is not there", failed(503, "ServiceUnavailable"), cannot],
  ["a 5xx by the name of a refusal", failed(503, "Forbidden", "KeyDisabled"), cannot],
  ["an error that is not known", failed(418, "Teapot"), cannot],
  ["an empty 502", { body: "", status: 502 }, cannot],
  ["an empty 400", { body: "", status: 400 }, cannot],
  ["an HTML page with 403", page(403), cannot],
  ["an HTML page with 404", page(404), cannot],
  ["JSON of a proxy with 403", { body: '{"error":"no"}', status: 403 }, cannot],
  ["a redirect", { body: "", status: 307, headers: { Location: "https://localhost:1/keys/fluo" } }, cannot],
  ["an HTML page with 200", page(200), untrusted],
  ["half an answer", { body: `{"kid":"https://x","value":"${halfSecret}` }, unreadable],
  ["an answer that breaks off", "truncated", unreachable],
  ["a reset connection", "reset", unreachable],
  ["an empty answer", { body: "{}" }, untrusted],
  ["nothing at all", { body: "" }, unreadable],
  ["an answer that is no object", { body: "null" }, unreadable],
  ["an empty wrap", { body: "{}" }, untrusted, "wrapkey"],
  ["a key of another key", otherKid((kid) => kid.replace("/fluo/", "/other/")), lie],
  ["a key of another vault", otherKid((kid) => kid.replace("localhost", "elsewhere")), lie],
  ["a key of another version", otherVersion, untrusted],
  ["a key of no version", otherKid((kid) => kid.slice(0, -33)), untrusted],
  ["no key", changed({ value: undefined }), untrusted],
  ["a key that is a number", changed({ value: 5 }), untrusted],
  ["a key that is short", changed({ value: randomBytes(31).toString("base64url") }), untrusted],
  ["a wrap under another version", otherVersion, untrusted, "wrapkey"],
  ["a wrap of another length", changed({ value: randomBytes(255).toString("base64url") }), untrusted, "wrapkey"],
  ["no attributes", changed({ attributes: {} }), untrusted, "get"],
  ["a state that is a word", changed({ attributes: { enabled: "yes" } }), untrusted, "get"],
  ["an end that is no time", changed({ attributes: { enabled: true, exp: "tomorrow" } }), untrusted, "get"],
  ["a type that is a number", withKey({ kty: 5 }), untrusted, "get"],
  ["no modulus", withKey({ n: undefined }), untrusted, "get"],
  ["no name", withKey({ kid: undefined }), unreadable, "get"],
  ["another key's name", withKey({ kid: `https://localhost/keys/other/${"0".repeat(32)}` }), untrusted, "get"],
  ["no key at all", changed({ key: undefined }), unreadable, "get"],
];

describe.skipIf(!canServe)("Key Vault", () => {
  answersOf<AzureFault, Operation>("it", {
    rows,
    usual: "unwrapkey",
    hangs: ["silence", "stalled"],
    async make() {
      const vault = await startFake();
      const version = vault.createKey("fluo").current.id;
      const provider = await openOn(vault, "fluo");
      const { wrapped } = await provider.generateDataKey(context);
      return {
        calls: {
          wrapkey: (signal) => provider.generateDataKey(context, signal),
          unwrapkey: (signal) => provider.decrypt(wrapped, context, signal),
          get: (signal) => provider.describe(signal),
          rotationpolicy: (signal) => provider.inspect(signal),
        },
        once: (answer, operation) => vault.once(answer, operation),
        count: (operation) => vault.calls[operation] ?? 0,
        called: (operation, times) => vault.until(() => vault.calls[operation] === times && vault.inFlight === 1),
        left: () => vault.until(() => vault.connections === 0 && vault.inFlight === 0),
        expectMore: (error) =>
          expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/bearer|authorization/i),
        advice: (words) => words.replace("KEY", provider.keyId).replace("VERSION", version),
      };
    },
  });
});
