/** What Vault answers, as our code; and what an operator is told. */
import { randomBytes } from "node:crypto";
import { afterAll, expect } from "vitest";
import { openVault } from "../../../src/provider/vault/open.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { type Fault, startFakeVault } from "../../fakes/vault.ts";
import { policyDenial } from "../../fakes/vault-rules.ts";
import { type AnswerRow, answersOf, context, denied, halfSecret, html, unavailable, verdicts } from "../answers.ts";

type Operation = "encrypt" | "decrypt" | "keys";

const errors = (status: number, ...texts: string[]): Fault => ({ status, body: { errors: texts } });
const answered = (status: number) => unavailable(`answered with status ${status}`);
const data = (members: unknown): Fault => ({ status: 200, body: { data: members } });
const text = (body: string): Fault => ({ status: 200, body });
const sealed = (bytes: number) => `vault:v1:${Buffer.alloc(bytes).toString("base64")}`;

const { rejected } = verdicts;
const without = (what: string) => unavailable(`answered without ${what}`);
const noCiphertext = without("a ciphertext");
const noPlaintext = without("a plaintext");
const refused = denied("refuses the request", "");
const token = "hvs.CAESIJhunter2hunter2hunter2hunter2";

const rows: readonly AnswerRow<Fault, Operation>[] = [
  ["a tag that does not fit", errors(400, "cipher: message authentication failed"), rejected],
  ["ChaCha20's", errors(400, "chacha20poly1305: message authentication failed"), rejected],
  ["a version to come", errors(400, "invalid ciphertext: version is too new"), rejected],
  ["a ciphertext too short", errors(400, "invalid ciphertext length"), rejected],
  [
    "a version below min_decryption_version",
    errors(400, "ciphertext or signature version is disallowed by policy (too old)"),
    denied("", "vault write transit/keys/fluo/config min_decryption_version=1"),
  ],
  [
    "a key that is gone",
    errors(400, "encryption key not found"),
    denied("has no such key", "vault write transit/restore/fluo backup=@FILE"),
  ],
  [
    "a key that is soft-deleted",
    errors(400, "refusing to use soft-deleted key"),
    denied("", "vault write -f transit/keys/fluo/soft-delete-restore"),
  ],
  [
    "a policy's denial",
    errors(403, policyDenial),
    denied("denies access to the key", 'path "transit/decrypt/fluo" { capabilities = ["update"] }'),
  ],
  [
    "a mount that is not there",
    errors(404, 'no handler for route "transit/decrypt/fluo". route entry not found.'),
    denied("", "vault secrets enable -path=transit transit"),
  ],
  ["a namespace that is not there", errors(404, "namespace not found"), denied("no such namespace", "vault.namespace")],
  ["an engine of another kind", errors(405, "1 error occurred:\n\t* unsupported operation\n\n"), denied("")],
  ["a request that it refuses", errors(400, "something else"), refused],
  [
    "the request itself, with its token",
    errors(400, `bad request: X-Vault-Token: ${token}`),
    refused,
    "encrypt",
    "bad request: X-Vault-Token: (hidden)",
  ],
  [
    "sealed",
    errors(503, "Vault is sealed"),
    unavailable("answered with status 503", "bao operator unseal"),
    "encrypt",
    "Vault is sealed",
  ],
  [
    "not initialised",
    errors(501, "Vault is not initialized"),
    unavailable("answered with status 501", "vault operator init"),
  ],
  ["a rate limit", errors(429, 'request path "x": rate limit quota exceeded'), answered(429)],
  ["a disaster recovery secondary", errors(472), answered(472)],
  ["a performance standby", errors(473), answered(473)],
  ["a replica that lags behind", errors(412, "required index state not present"), answered(412)],
  ["an internal error", errors(500, "internal error"), answered(500)],
  ["an HTML page with 502", { status: 502, body: html }, answered(502)],
  ["an HTML page with 403", { status: 403, body: html }, answered(403)],
  ["an HTML page with 200", { status: 200, body: html }, noPlaintext],
  ["broken JSON", text(`{"data":{"plaintext":"${halfSecret}"`), without("JSON")],
  ["an empty object", { status: 200, body: {} }, noPlaintext],
  ["no content", { status: 204 }, answered(204)],
  [
    "a redirect to the active node",
    { status: 307, headers: { location: "http://127.0.0.1:9/v1/x" } },
    unavailable("", "vault.addr"),
  ],
  ["a connection reset", "reset", unavailable("")],
  ["no ciphertext", data({ key_version: 1 }), noCiphertext, "encrypt"],
  ["a ciphertext that is a number", data({ ciphertext: 7, key_version: 1 }), noCiphertext, "encrypt"],
  ["version 0", data({ ciphertext: sealed(60).replace("v1", "v0"), key_version: 0 }), noCiphertext, "encrypt"],
  ["another version than its ciphertext", data({ ciphertext: sealed(60), key_version: 2 }), noCiphertext, "encrypt"],
  ["no version", data({ ciphertext: sealed(60) }), noCiphertext, "encrypt"],
  ["no room for a tag", data({ ciphertext: sealed(28), key_version: 1 }), noCiphertext, "encrypt"],
  ["a ciphertext past 8192 bytes", data({ ciphertext: sealed(6200), key_version: 1 }), noCiphertext, "encrypt"],
  [
    "base64 of another alphabet",
    data({ ciphertext: `vault:v1:${"-".repeat(80)}`, key_version: 1 }),
    noCiphertext,
    "encrypt",
  ],
  ["data that is a list", data([]), without("data"), "encrypt"],
  ["no plaintext", data({}), noPlaintext],
  ["an empty plaintext", data({ plaintext: "" }), noPlaintext],
  ["a plaintext that is null", data({ plaintext: null }), noPlaintext],
  ["a plaintext that is no base64", data({ plaintext: "????" }), noPlaintext],
  ["base64 of another spelling", data({ plaintext: "AB==" }), noPlaintext],
  ["a plaintext with an escape", text('{"data":{"plaintext":"AA\\u0041A"}}'), noPlaintext],
  ["a plaintext past 4096 bytes", data({ plaintext: Buffer.alloc(4097).toString("base64") }), noPlaintext],
  ["a plaintext elsewhere", text('{"plaintext":"AAAA","data":{}}'), noPlaintext],
  ["two plaintexts", text('{"data":{"plaintext":"AAAA"},"data":{"plaintext":"BBBB"}}'), noPlaintext],
];

const vault = await startFakeVault();
afterAll(() => vault.close());

answersOf<Fault, Operation>("Vault", {
  rows,
  usual: "decrypt",
  hangs: ["hang", "stall"],
  async make() {
    const provider = await openVault(vault.settings(), realTime);
    const { wrapped } = await provider.generateDataKey(context);
    return {
      calls: {
        encrypt: (signal) => provider.encrypt(randomBytes(32), context, signal),
        decrypt: (signal) => provider.decrypt(wrapped, context, signal),
        keys: (signal) => provider.describe(signal),
      },
      once: (answer, operation) => vault.once(`transit/${operation}/fluo`, answer),
      count: (operation) => vault.count(`transit/${operation}/fluo`),
      called: (operation, times) => vault.called(`transit/${operation}/fluo`, times),
      left: () => vault.left(),
      expectMore: () => expect(vault.count("auth/token/lookup-self")).toBe(1), // at the start: nothing of this is a reason to log in
    };
  },
});
