/** The fake Key Vault by what it refuses, without an SDK in between: a fake that takes everything proves nothing. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { text } from "node:stream/consumers";
import { describe, expect, it, onTestFinished } from "vitest";
import { canServe } from "../support/azure-fixture.ts";
import { fromNow } from "../support/from-now.ts";
import { clientId, clientSecret, tenant } from "./azure-authority.ts";
import { type AzureKeyVaultFake, startAzureKeyVault } from "./azure-key-vault.ts";

async function start(): Promise<AzureKeyVaultFake> {
  const vault = await startAzureKeyVault();
  onTestFinished(() => vault.close());
  return vault;
}

async function call(vault: AzureKeyVaultFake, path: string, { body, token }: { body?: string; token?: string } = {}) {
  const sent = request(`${vault.url}${path}`, {
    method: body === undefined ? "GET" : "POST",
    ca: readFileSync(vault.caFile),
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  }).end(body);
  const [response] = await once(sent, "response");
  const answer = await text(response);
  return { status: response.statusCode, headers: response.headers, answer: answer === "" ? {} : JSON.parse(answer) };
}

const form = (changes: Record<string, string> = {}) =>
  new URLSearchParams({
    grant_type: "client_credentials",
    client_id: clientId,
    client_secret: clientSecret,
    scope: "https://vault.azure.net/.default",
    ...changes,
  }).toString();

async function tokenOf(vault: AzureKeyVaultFake): Promise<string> {
  return (await call(vault, `/${tenant}/oauth2/v2.0/token`, { body: form() })).answer.access_token;
}

describe.skipIf(!canServe)("the fake Key Vault", () => {
  it("challenges whoever has no token, or one that it did not give", async () => {
    const vault = await start();
    vault.createKey("fluo");
    for (const token of [undefined, "made-up"]) {
      const { status, headers, answer } = await call(vault, "/keys/fluo", token === undefined ? {} : { token });
      expect([status, answer.error.code]).toEqual([401, "Unauthorized"]);
      expect(headers["www-authenticate"]).toBe(
        `Bearer authorization="${vault.url}/${tenant}", resource="https://vault.azure.net"`,
      );
    }
  });

  it.each([
    [{ client_secret: "wrong" }, 401, "invalid_client"],
    [{ client_id: "another" }, 400, "unauthorized_client"],
    [{ scope: "https://graph.microsoft.com/.default" }, 400, "invalid_scope"],
    [{ grant_type: "password" }, 400, "unauthorized_client"],
    [{ client_secret: "", client_assertion: "wrong" }, 401, "invalid_client"],
  ])("gives no token for %j", async (changes, status, error) => {
    const vault = await start();
    const body = form(changes as Record<string, string>);
    expect(await call(vault, `/${tenant}/oauth2/v2.0/token`, { body })).toMatchObject({ status, answer: { error } });
  });

  it("finds no unknown key or version, and none that is deleted; without a version, the current one", async () => {
    const vault = await start();
    const key = vault.createKey("fluo", { type: "oct-HSM" });
    const token = await tokenOf(vault);
    const body = JSON.stringify({ alg: "A256KW", value: Buffer.alloc(32).toString("base64url") });
    const status = async (path: string, sent = body) => (await call(vault, path, { token, body: sent })).status;
    expect(await status("/keys/none//wrapkey")).toBe(404);
    expect(await status(`/keys/fluo/${"0".repeat(32)}/wrapkey`)).toBe(404);
    const second = key.rotate().id;
    const { status: found, answer } = await call(vault, "/keys/fluo//wrapkey", { token, body });
    expect([found, answer.kid]).toEqual([200, `${vault.url}/keys/fluo/${second}`]);
    expect(await status("/keys/fluo//wrapkey", JSON.stringify({ alg: "RSA-OAEP-256", value: "AAAA" }))).toBe(400);
    expect(await status("/keys/fluo//unwrapkey", JSON.stringify({ alg: "A256KW", value: "AAAA" }))).toBe(400);
    expect(await status("/keys/fluo//wrapkey", "{}")).toBe(400);
    key.deleted = true;
    expect(await status("/keys/fluo//wrapkey")).toBe(404);
  });

  it("wraps with no key that is disabled, expired or not yet valid, and unwraps with all but the disabled", async () => {
    const vault = await start();
    const { current } = vault.createKey("fluo", { type: "oct-HSM" });
    const token = await tokenOf(vault);
    const send = (operation: string, value: string) =>
      call(vault, `/keys/fluo/${current.id}/${operation}`, { token, body: JSON.stringify({ alg: "A256KW", value }) });
    const plain = Buffer.alloc(32).toString("base64url");
    const { value } = (await send("wrapkey", plain)).answer;
    const day = 86_400_000;
    for (const [change, inner, opens] of [
      [{ enabled: false }, "KeyDisabled", 403],
      [{ expires: fromNow(-day) }, "KeyExpired", 200],
      [{ notBefore: fromNow(day) }, "KeyNotYetValid", 200],
      [{ operations: ["unwrapKey"] }, "KeyOperationForbidden", 200],
    ] as const) {
      const before = { ...current };
      Object.assign(current, change);
      const { status, answer } = await send("wrapkey", plain);
      expect([status, answer.error.innererror.code]).toEqual([403, inner]);
      expect((await send("unwrapkey", value)).status).toBe(opens);
      Object.assign(current, { expires: undefined, notBefore: undefined, ...before });
    }
  });
});
