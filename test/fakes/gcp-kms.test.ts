/** The fake is as strict as Google says that Google is, so that what passes on it has been checked. */
import { generateKeyPairSync, sign } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { crc32c } from "../../src/encoding/crc32c.ts";
import { msFromNow, secondsFromNow } from "../support/from-now.ts";
import { type GcpKmsFake, issue, startGcpKms } from "./gcp-kms.ts";
import type { FakeKey } from "./gcp-kms-rules.ts";

let kms: GcpKmsFake;
let key: FakeKey;
beforeAll(async () => {
  kms = await startGcpKms();
  key = kms.createKey();
});
afterAll(() => kms.close());

type Body = Record<string, unknown>;

async function ask(path: string, body?: Body, token = issue(kms)): Promise<{ status: number; body: Body }> {
  const response = await fetch(`${kms.url}/v1/${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Body };
}

const plaintext = Buffer.from("secret");
const aad = Buffer.from("context");
const base64 = (bytes: Buffer) => bytes.toString("base64");
const whole = {
  plaintext: base64(plaintext),
  plaintextCrc32c: String(crc32c(plaintext)),
  additionalAuthenticatedData: base64(aad),
  additionalAuthenticatedDataCrc32c: String(crc32c(aad)),
};

function errorIn({ status, body }: { status: number; body: Body }) {
  const { error } = body as { error: { status: string; message: string } };
  return [status, error.status, error.message];
}

describe("Cloud KMS", () => {
  it("takes no call without a token of its own, or with one that has expired", async () => {
    kms.tokens.set("old", msFromNow(-1));
    for (const token of ["", "made-up", "old"]) {
      expect(errorIn(await ask(key.name, undefined, token)).slice(0, 2)).toEqual([401, "UNAUTHENTICATED"]);
    }
  });

  it.each(["plaintextCrc32c", "additionalAuthenticatedDataCrc32c"])("refuses a wrong %s", async (name) => {
    const [status, code, words] = errorIn(await ask(`${key.name}:encrypt`, { ...whole, [name]: "1" }));
    expect([status, code]).toEqual([400, "INVALID_ARGUMENT"]);
    expect(words).toMatch(/^The checksum in field \w+_crc32c did not match the data in field \w+\.$/);
  });

  it("says which checksums it has checked, and none that it was not given", async () => {
    const { body } = await ask(`${key.name}:encrypt`, whole);
    expect(body).toMatchObject({ verifiedPlaintextCrc32c: true, verifiedAdditionalAuthenticatedDataCrc32c: true });
    const bare = await ask(`${key.name}:encrypt`, { plaintext: whole.plaintext });
    expect(Object.keys(bare.body)).toEqual(["name", "ciphertext", "ciphertextCrc32c", "protectionLevel"]);
  });

  it("refuses members that it does not know", async () => {
    const answer = errorIn(await ask(`${key.name}:encrypt`, { ...whole, context: {} }));
    expect(answer).toEqual([
      400,
      "INVALID_ARGUMENT",
      'Invalid JSON payload received. Unknown name "context": Cannot find field.',
    ]);
  });

  it("opens what it wrapped under the same key and data, and nothing else", async () => {
    const { ciphertext } = (await ask(`${key.name}:encrypt`, whole)).body as { ciphertext: string };
    const other = kms.createKey({ id: "other" });
    const given = { ciphertext, additionalAuthenticatedData: whole.additionalAuthenticatedData };
    expect((await ask(`${key.name}:decrypt`, given)).body).toMatchObject({
      plaintext: whole.plaintext,
      plaintextCrc32c: whole.plaintextCrc32c,
      usedPrimary: true,
    });
    for (const [name, body] of [
      [key.name, { ciphertext }],
      [key.name, { ...given, ciphertext: base64(Buffer.alloc(60)) }],
      [other.name, given],
    ] as const) {
      expect(errorIn(await ask(`${name}:decrypt`, body)).slice(0, 2)).toEqual([400, "INVALID_ARGUMENT"]);
    }
    key.versions.get(1)!.state = "DISABLED";
    const [status, code, words] = errorIn(await ask(`${key.name}:decrypt`, given));
    expect([status, code]).toEqual([400, "FAILED_PRECONDITION"]);
    expect(words).toBe(`${key.name}/cryptoKeyVersions/1 is not enabled, current state is: DISABLED.`);
    key.versions.get(1)!.state = "ENABLED";
  });
});

describe("the metadata server", () => {
  it("tells nothing without its header", async () => {
    const path = `${kms.url}/computeMetadata/v1/instance/service-accounts/default/token`;
    expect((await fetch(path)).status).toBe(403);
    const told = await fetch(path, { headers: { "metadata-flavor": "Google" } });
    expect(told.headers.get("metadata-flavor")).toBe("Google");
    expect(await told.json()).toMatchObject({ token_type: "Bearer", expires_in: 3600 });
  });
});

describe("the token endpoint", () => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const now = secondsFromNow(0);
  const claims = {
    iss: "a@b",
    aud: "https://oauth2.googleapis.com/token",
    scope: "https://www.googleapis.com/auth/cloudkms",
    iat: now,
    exp: now + 3600,
  };

  async function grant(over: object, key = privateKey) {
    const parts = [{ alg: "RS256" }, { ...claims, ...over }].map((part) =>
      Buffer.from(JSON.stringify(part)).toString("base64url"),
    );
    const signature = sign("sha256", Buffer.from(parts.join(".")), key).toString("base64url");
    const form = {
      grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
      assertion: [...parts, signature].join("."),
    };
    const response = await fetch(`${kms.url}/token`, { method: "POST", body: new URLSearchParams(form) });
    return (await response.json()) as { access_token?: string; error?: string };
  }

  it("grants to a service account that signed for it, for a while", async () => {
    kms.accounts.set("a@b", publicKey);
    const { access_token: token } = await grant({});
    expect((await ask(key.name, undefined, token)).status).toBe(200);
  });

  it.each<[string, object, string]>([
    ["another account", { iss: "c@d" }, "invalid_grant"],
    ["a grant of yesterday", { iat: now - 86_400, exp: now - 82_800 }, "invalid_grant"],
    ["a grant for a day", { exp: now + 86_400 }, "invalid_grant"],
    ["a grant for another place", { aud: "https://example.com" }, "invalid_scope"],
  ])("refuses %s", async (_what, over, error) => {
    expect(await grant(over)).toMatchObject({ error });
  });

  it("refuses another's signature", async () => {
    expect(await grant({}, generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey)).toMatchObject({
      error: "invalid_grant",
    });
  });
});
