/** The front page, at `/`: its forms and headers, what it says of the service's state, and that it says no more than health does. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { version } from "../../../../src/version.ts";
import { bearerHeaders, type RunningService, startService } from "../../../support/running-service.ts";
import { oneRoleEach, tokenPolicy } from "../../../support/token-policy.ts";
import { startTransports, type Transports } from "../../../support/transports-fixture.ts";

const browser = { accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };
const curl = { accept: "*/*" };

let service: Transports;
beforeAll(async () => {
  service = await startTransports({});
});
afterAll(() => service.stop());

/** fetch would keep Host to itself. */
async function ask(headers: Record<string, string>, { method = "GET", path = "/", url = service.url } = {}) {
  const { hostname, port } = new URL(url);
  const asked = request({ hostname, port, path, method, headers, agent: false }).end();
  const [answer] = await once(asked, "response");
  return { status: answer.statusCode, headers: answer.headers, body: await text(answer) };
}

describe("the form of the page", () => {
  it.each([
    ["a browser", browser, "text/html; charset=utf-8", /^<!doctype html>\n<html lang="en">/],
    ["curl", curl, "text/plain; charset=utf-8", /^fluo-kms\n/],
    ["a client of JSON", { accept: "application/json" }, "text/plain; charset=utf-8", /^fluo-kms\n/],
    ["who sends no Accept", {}, "text/plain; charset=utf-8", /^fluo-kms\n/],
  ])("is chosen for %s, and caches are told so", async (_who, headers, type, body) => {
    const page = await ask(headers);
    expect(page).toMatchObject({
      status: 200,
      headers: { "content-type": type, vary: "accept", "cache-control": "no-store" },
      body: expect.stringMatching(body),
    });
    expect(Number(page.headers["content-length"])).toBe(Buffer.byteLength(page.body));
  });

  it.each([browser, curl])("has the headers of GET for HEAD, and no body: %j", async (accept) => {
    const [{ headers: ofGet }, head] = [await ask(accept), await ask(accept, { method: "HEAD" })];
    expect(head).toMatchObject({ status: 200, body: "", headers: { ...ofGet, date: expect.anything() } });
  });

  it.each(["POST", "PUT", "DELETE", "OPTIONS"])("is no answer to %s", async (method) => {
    const { status, headers } = await ask(browser, { method });
    expect([status, headers.allow, headers["content-type"]]).toEqual([405, "GET, HEAD", "application/json"]);
  });

  it("varies by Origin too, where other sites may call", async () => {
    const other = await startTransports({}, { allowedOrigins: ["https://app.example.org"] });
    try {
      expect((await ask(browser, { url: other.url })).headers.vary).toBe("origin, accept");
    } finally {
      await other.stop();
    }
  });
});

describe("the page in HTML", () => {
  it("lets the browser do nothing but show it, with its own style", async () => {
    const { headers, body } = await ask(browser);
    const [, style] = /<style>(.*)<\/style>/s.exec(body)!;
    expect(headers).toMatchObject({ "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" });
    expect(headers["content-security-policy"]?.toString().split("; ")).toEqual([
      "default-src 'none'",
      `style-src 'sha256-${createHash("sha256").update(style!).digest("base64")}'`,
      "img-src data:",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ]);
    expect(body).not.toMatch(/<script|<img|<form|<iframe|\bstyle=|\bon\w+=|\bsrc=|@import|url\(/i);
    expect(body.match(/<link [^>]*>/g)).toEqual(['<link rel="icon" href="data:,">']);
  });

  it("links to pages of the documentation that there are", async () => {
    const { body } = await ask(browser);
    const names = [...body.matchAll(/href="https:\/\/github\.com\/fluo-dev\/fluo-kms\/blob\/main\/([^"]+)"/g)];
    expect(names).toHaveLength(4);
    const root = join(import.meta.dirname, "..", "..", "..", "..");
    for (const [, name] of names) expect([name, existsSync(join(root, name!))]).toEqual([name, true]);
  });

  it("escapes what it shows", async () => {
    expect((await ask(browser)).body).toContain("<code>curl -s &quot;http://localhost:");
  });
});

describe("the page", () => {
  it.each([browser, curl])("repeats nothing of the request: %j", async (accept) => {
    const marked = { ...accept, "user-agent": "marker", referer: "http://marker", host: "127.0.0.9:1" };
    const { status, body } = await ask(marked, { path: "/?marker=<script>" });
    expect(status).toBe(200);
    expect(body).toBe((await ask(accept)).body);
  });

  it.each([browser, curl])("says whether the service is ready, and not why: %j", async (accept) => {
    const ready = await ask(accept);
    service.becomes("degraded");
    const degraded = await ask(accept);
    service.becomes("down");
    const down = await ask(accept);
    service.becomes("operational");
    expect(ready.body).toMatch(/\bReady\b/);
    expect(degraded.body).toBe(ready.body);
    expect([down.status, down.body]).toEqual([200, expect.stringContaining("Not ready")]);
    expect(down.body).not.toMatch(/\bReady\b/);
  });

  it("has the ports that are served", async () => {
    const { body } = await ask(curl);
    expect(body).toContain(`Port ${new URL(`http://${service.grpcAddress}`).port}, with health and reflection.`);
    expect(body).toContain(`curl -s "${service.url.replace("127.0.0.1", "localhost")}/fluo.kms.v1.KmsService/Status"`);
  });

  it("is in no log", async () => {
    const lines = service.logged.length;
    await ask(browser);
    expect(service.logged.slice(lines)).toEqual([]);
  });
});

describe("the page under a policy", () => {
  const { tokens, files } = tokenPolicy(oneRoleEach);
  let strict: RunningService;
  beforeAll(async () => {
    strict = await startService({}, { files });
  });
  afterAll(() => strict.stop());

  it.each([browser, curl])("is the same for everybody: %j", async (accept) => {
    const page = await ask(accept, { url: strict.url });
    expect(page.status).toBe(200);
    for (const token of ["nonsense", ...Object.values(tokens)]) {
      expect((await ask({ ...accept, ...bearerHeaders(token) }, { url: strict.url })).body).toBe(page.body);
    }
  });

  it("tells neither what the service is made of nor where it runs", async () => {
    const { body } = await ask({ ...curl, host: "kms.internal" }, { url: strict.url });
    for (const told of [version, "local", "memory", "kms.internal", "127.0.0.1"]) {
      expect(body).not.toContain(told);
    }
    expect(body).toContain('-H "authorization: Bearer $FLUO_KMS_TOKEN"');
  });

  it("says that metrics ask for a credential, unless they are open", async () => {
    const open = await startService({ "fluo.kms.open": "health, metrics" }, { files });
    try {
      expect((await ask(curl, { url: strict.url })).body).toContain("with a credential that has the role metrics");
      expect((await ask(curl, { url: open.url })).body).not.toContain("the role metrics");
    } finally {
      await open.stop();
    }
  });
});
