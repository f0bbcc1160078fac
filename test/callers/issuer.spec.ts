/** Tokens of an issuer that is not ours: found by discovery, with its keys rotated, and after it has stopped. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { secondsFromNow } from "../support/from-now.ts";
import { newAuthority } from "../support/pki.ts";
import { testKey, type TestKey, tokenBy } from "../support/signed-tokens.ts";
import { atEnd, type CalledService, newFolder, startCalled } from "./called-service.ts";
import { clients } from "./clients.ts";
import type { IssuerOptions } from "./issuer-process.ts";

const authority = newAuthority({ name: "issuer" });
const certificate = authority.issue({ dns: ["localhost"], extendedKeyUsage: ["serverAuth"] });
const client = { id: "ingest", secret: "a secret of thirty-two characters" };
const [first, second, unknown] = [testKey("ES256", "first"), testKey("ES256", "second"), testKey("ES256", "unknown")];

interface Issuer {
  url: string;
  token(resource?: string): Promise<string>;
  stop(): Promise<void>;
}

/** The first key signs. */
async function startIssuer(keys: readonly TestKey[], port = 0): Promise<Issuer> {
  const jwks = keys.map(({ jwk, privateKey }) => ({ ...privateKey.export({ format: "jwk" }), ...jwk }));
  const options: IssuerOptions = { port, certificate: certificate.chain, key: certificate.key, jwks, client };
  const child = spawn(process.execPath, [join(import.meta.dirname, "issuer-process.ts"), JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  atEnd(() => child.kill("SIGKILL"));
  const closed = once(child, "close");
  const err = text(child.stderr);
  const { value: url, done } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  if (done) throw new Error(await err);
  return {
    url,
    async token(resource = "urn:fluo-kms") {
      const body = new URLSearchParams({ grant_type: "client_credentials", scope: "kms", resource });
      const asked = request(`${url}/token`, {
        method: "POST",
        ca: authority.pem,
        agent: false,
        auth: `${client.id}:${encodeURIComponent(client.secret)}`,
        headers: { "content-type": "application/x-www-form-urlencoded" },
      }).end(String(body));
      const [answer] = await once(asked, "response");
      const { access_token: token, ...other } = JSON.parse(await text(answer));
      if (token === undefined) throw new Error(JSON.stringify(other));
      return token;
    },
    async stop() {
      child.stdin.end();
      await closed;
    },
  };
}

let issuer: Issuer;
let service: CalledService;
beforeAll(async () => {
  issuer = await startIssuer([first]);
  service = await startCalled(newFolder(), {
    "policy.yaml": `version: 1
issuers:
  - { name: sso, issuer: "${issuer.url}", audience: fluo-kms, ca: issuer-ca.pem }
rules:
  - { name: ingest, who: { jwt: { issuer: sso, subject: ingest } }, roles: [generate-data-key], tenants: "*" }
`,
    "issuer-ca.pem": authority.pem,
  });
});
afterAll(async () => {
  await service.process.end();
  await issuer.stop();
});

/** What a caller with this token is told on either port. */
async function told(token: string) {
  const call = {
    method: "fluo.kms.v1.KmsService/GenerateDataKey",
    request: { tenant_id: "acme" },
    credential: { token },
  };
  const [byGrpc, byHttp] = [await clients.grpcurl!(service, call), await clients.curl!(service, call)];
  expect(byHttp).toEqual(byGrpc);
  return byGrpc;
}

/** A token as the issuer would make it with a key. */
function tokenOf(key: TestKey): string {
  const now = secondsFromNow(0);
  const claims = { iss: issuer.url, aud: "fluo-kms", sub: client.id, iat: now, exp: now + 600, jti: key.kid };
  return tokenBy(key, claims, { typ: "at+jwt" });
}

const accepted = { code: "OK", text: "" };
const refused = { code: "Unauthenticated", text: "the token is not accepted", reason: "UNAUTHENTICATED" };
const unavailable = { code: "Unavailable", text: "the issuer's keys cannot be had now", reason: "ISSUER_UNAVAILABLE" };

// Each step begins where the one before it ended.
describe("a token of oidc-provider", () => {
  it("is accepted, by keys that discovery leads to", async () => {
    await expect.poll(async () => told(await issuer.token())).toEqual(accepted);
  });

  it("is refused if it is for another audience, or by another's key", async () => {
    expect(await told(await issuer.token("urn:account"))).toEqual(refused);
    expect(await told(tokenOf({ ...second, kid: first.kid }))).toEqual(refused);
  });

  it("is accepted by a new key, which signs at once, when the keys have been fetched again", async () => {
    const port = Number(new URL(issuer.url).port);
    await issuer.stop();
    issuer = await startIssuer([second, first], port);
    const token = await issuer.token();
    // Until a fetch may start, nobody can tell whether there is such a key; it is never refused.
    const seen: unknown[] = [];
    await expect
      .poll(async () => {
        const answer = await told(token);
        seen.push(answer);
        return answer.code;
      })
      .toBe("OK");
    for (const answer of seen) expect([accepted, unavailable]).toContainEqual(answer);
    expect(await told(tokenOf(first))).toEqual(accepted);
  });

  it("is accepted by a known key when the issuer has stopped, and of an unknown one nobody can tell", async () => {
    const token = await issuer.token();
    await issuer.stop();
    expect(await told(token)).toEqual(accepted);
    expect(await told(tokenOf(second))).toEqual(accepted);
    expect(await told(tokenOf(unknown))).toEqual(unavailable);
    expect(await told(tokenOf({ ...unknown, kid: first.kid }))).toEqual(refused);
  });
});
