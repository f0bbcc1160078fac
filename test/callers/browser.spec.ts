/** Pages in Chromium that call the service from another origin: of a site that the operator has named, and of one that is not. */
import { join } from "node:path";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Browser, launchChromium } from "../support/chromium.ts";
import { type CalledService, newFolder, policyFiles, startCalled, tokens } from "./called-service.ts";
import type { Told as PageTold, WithCalls } from "./connect-web-page.ts";
import { type PageServer, startPages } from "./page-server.ts";

let [listed, unlisted]: PageServer[] = [];
let service: CalledService;
let browser: Browser;
beforeAll(async () => {
  [listed, unlisted] = await Promise.all([startPages(), startPages()]);
  service = await startCalled(newFolder(), policyFiles, {
    env: { FLUO_KMS_HTTP_ALLOWED_ORIGINS: listed!.origin, FLUO_KMS_HTTP_CLIENT_CERTIFICATES: "false" },
  });
  browser = await launchChromium("callers-npm");
});
afterAll(async () => {
  await browser?.close();
  await service?.process.end();
  await Promise.all([listed?.stop(), unlisted?.stop()]);
});

interface Fetched {
  status: number;
  body: Record<string, unknown>;
  headers: Record<string, string>;
}

/** What a page of an origin gets by fetch: an answer that it may read, or the text of an error. */
async function fetched(origin: string, path: string, init: object): Promise<Fetched | string> {
  // The page's and the service's certificates are of authorities that the browser does not know.
  const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
  await page.goto(origin);
  return page.evaluate(
    async ({ url, init }) => {
      try {
        const answer = await fetch(url, init);
        const headers = Object.fromEntries(answer.headers);
        return { status: answer.status, body: (await answer.json()) as Record<string, unknown>, headers };
      } catch (error) {
        return String(error);
      }
    },
    { url: service.http + path, init },
  );
}

const connectHeaders = { "content-type": "application/json", "connect-protocol-version": "1" };
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const post = (headers: object) => ({
  method: "POST",
  body: JSON.stringify({ tenantId: "acme" }),
  headers: { ...connectHeaders, ...headers },
});
const generate = "/fluo.kms.v1.KmsService/GenerateDataKey";
const status = `/fluo.kms.v1.KmsService/Status?${new URLSearchParams({ connect: "v1", encoding: "json", message: "{}" })}`;
const blocked = "TypeError: Failed to fetch";

describe("a page of a site that is listed", () => {
  it("calls by POST with a token that it has", async () => {
    expect(await fetched(listed!.origin, generate, post(bearer(tokens.app)))).toMatchObject({
      status: 200,
      body: { plaintext: expect.any(String) },
      headers: { "cache-control": "no-store" },
    });
  });

  it("calls by Connect's GET with a token that it has", async () => {
    expect(await fetched(listed!.origin, status, { headers: bearer(tokens.app) })).toMatchObject({
      status: 200,
      body: { provider: "local" },
    });
  });

  it("reads why it is refused", async () => {
    const refused = (text: string) => ({ status: 401, body: { code: "unauthenticated", message: text } });
    expect(await fetched(listed!.origin, generate, post({}))).toMatchObject(refused("no credential"));
    expect(await fetched(listed!.origin, generate, post(bearer(tokens.wrong)))).toMatchObject(
      refused("the token is not accepted"),
    );
  });

  it("may not send what the service does not name", async () => {
    const other = post({ ...bearer(tokens.app), "x-tenant": "acme" });
    expect(await fetched(listed!.origin, generate, other)).toBe(blocked);
    expect(await fetched(listed!.origin, generate, { ...post(bearer(tokens.app)), credentials: "include" })).toBe(
      blocked,
    );
  });
});

describe("a page with connect-web", () => {
  let told: Record<string, PageTold>;
  beforeAll(async () => {
    const bundle = await rolldown({ input: join(import.meta.dirname, "connect-web-page.ts"), platform: "browser" });
    const { output } = await bundle.generate({ format: "iife" });
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
    await page.goto(listed!.origin);
    await page.evaluate(output[0].code);
    const asked = { baseUrl: service.http, token: tokens.app };
    told = await page.evaluate((asked) => (globalThis as unknown as WithCalls).callByEachWay(asked), asked);
  });

  it.each(["Connect", "Connect in JSON", "gRPC-Web", "gRPC-Web in JSON"])("calls by %s", (way) => {
    const { stream, ...unary } = told[way]!;
    expect(unary).toEqual({
      status: "local",
      sealed: 1,
      refused: expect.stringMatching(/^\[invalid_argument\] tenant_id: must .* \| INVALID_ARGUMENT \| tenant_id$/),
      late: expect.stringMatching(/^\[deadline_exceeded\] /),
    });
    // No browser sends a stream, and connect-web says so itself.
    expect(stream).toMatch(/^\[\w+\] .*not support/);
  });
});

describe("a page of a site that is not listed", () => {
  it("is not let call, with or without a token", async () => {
    expect(await fetched(unlisted!.origin, generate, post(bearer(tokens.app)))).toBe(blocked);
    expect(await fetched(unlisted!.origin, generate, post({}))).toBe(blocked);
    expect(await fetched(unlisted!.origin, status, { headers: bearer(tokens.app) })).toBe(blocked);
  });

  it("reads nothing of what is open either, which asks for no leave before", async () => {
    expect(await fetched(unlisted!.origin, "/q/health", {})).toBe(blocked);
    expect(await fetched(listed!.origin, "/q/health", {})).toMatchObject({ status: 200, body: { status: "UP" } });
  });
});
