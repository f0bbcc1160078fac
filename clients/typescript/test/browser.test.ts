/** A page in Chromium, of another origin: it calls the service by Connect, and verifies a span with the one built file. Needs `build.ts` to have run. */
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromium as programOf } from "../../../scripts/tools/debian.ts";
import { installPackages } from "../../../scripts/tools/npm-packages.ts";
import { newAuthority } from "../../../test/support/pki.ts";
import { type RunningService, startService } from "../../../test/support/running-service.ts";
import { ResourceSpansSchema, SignMode } from "../src/messages.ts";
import { createGrpcKms } from "../src/node/grpc-kms.ts";
import { exportOf, field, spanParts, withAttributes } from "../src/node/otlp-parts.ts";
import { createSpanSigner } from "../src/node/span-signer.ts";
import { madeSpans } from "./made-spans.ts";

/** What of playwright-core is used here. */
interface Browser {
  newPage(options: { ignoreHTTPSErrors: boolean }): Promise<{
    goto(url: string): Promise<unknown>;
    evaluate<Given, Result>(work: (given: Given) => Promise<Result>, given: Given): Promise<Result>;
  }>;
  close(): Promise<void>;
}

const root = join(import.meta.dirname, "..", "..", "..");
const dist = join(import.meta.dirname, "..", "dist");
const program = programOf();
const isThere = existsSync(program) && existsSync(join(dist, "verify.js"));
if (!isThere && process.env.CI === "true") throw new Error("the browser's tests need Chromium and the built package");
if (!isThere) process.stderr.write("SKIPPED, there is no Chromium, or the package is not built: pages\n");

const page = `
  import { createKms } from "@fluo/kms";
  globalThis.encrypt = async (baseUrl) => {
    const fields = [{ name: "email", value: new TextEncoder().encode("zoë") }];
    const kms = createKms({ baseUrl });
    const { fields: sealed } = await kms.encryptPii({ tenantId: "acme", fields });
    const { fields: opened } = await kms.decryptPii({ tenantId: "acme", fields: sealed });
    return [sealed[0].token, new TextDecoder().decode(opened[0].result.value)];
  };`;

const html = `<!doctype html><title>A page</title>
  <script type="module">import * as verifier from "/verify.js"; globalThis.verifier = verifier;</script>
  <script type="module" src="/page.js"></script>`;

/** What the page's scripts give to the test. */
interface PageGlobals {
  encrypt(baseUrl: string): Promise<string[]>;
  verifier: typeof import("../src/verify.ts");
}

/** The page's script, with the built package in it, as a bundler makes it. */
async function bundled(): Promise<string> {
  const bundle = await rolldown({
    input: "page",
    platform: "browser",
    plugins: [
      {
        name: "page",
        resolveId: (id) => (id === "page" ? id : id === "@fluo/kms" ? join(dist, "index.js") : null),
        load: (id) => (id === "page" ? page : null),
      },
    ],
  });
  const { output } = await bundle.generate({ format: "esm" });
  await bundle.close();
  return output[0].code;
}

describe.skipIf(!isThere)("a page", () => {
  let [service, origin]: [RunningService?, string?] = [];
  let browser: Browser;
  let script: string;
  const { chain, key } = newAuthority().issue({ dns: ["localhost"], extendedKeyUsage: ["serverAuth"] });
  const server = createServer({ cert: chain, key }, (request, response) => {
    const scripts: Record<string, () => string> = {
      "/page.js": () => script,
      "/verify.js": () => readFileSync(join(dist, "verify.js"), "utf8"),
    };
    const text = scripts[request.url!]?.();
    const type = text === undefined ? "text/html" : "text/javascript";
    response.setHeader("content-type", `${type}; charset=utf-8`).end(text ?? html);
  });
  beforeAll(async () => {
    const folder = await installPackages("callers-npm", join(root, "scripts", "tools", "callers"));
    const modules = createRequire(join(folder, "package.json"));
    const { chromium } = (await import(modules.resolve("playwright-core"))).default;
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    origin = `https://localhost:${(server.address() as AddressInfo).port}`;
    script = await bundled();
    service = await startService({ "fluo.kms.http.allowed-origins": origin });
    // Root has no sandbox of Chromium's.
    const args = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
    const env = { ...process.env, HOME: tmpdir() };
    browser = await chromium.launch({ executablePath: program, chromiumSandbox: false, args, env });
  });
  afterAll(async () => {
    await browser?.close();
    await service?.stop();
    server.close();
  });

  it("encrypts and decrypts PII from another origin", async () => {
    const opened = await browser.newPage({ ignoreHTTPSErrors: true });
    await opened.goto(origin!);
    const [token, value] = await opened.evaluate(
      (baseUrl) => (globalThis as unknown as PageGlobals).encrypt(baseUrl),
      service!.url,
    );
    expect(token).toMatch(/^fk1\./);
    expect(value).toBe("zoë");
  });

  it.each([SignMode.INDIVIDUAL, SignMode.LOG])("verifies spans with verify.js alone, in mode %i", async (mode) => {
    const kms = createGrpcKms({ target: `127.0.0.1:${service!.grpcPort}`, insecure: true });
    const signer = createSpanSigner(kms, { tenantId: "acme", mode });
    const bytes = field(0x0a, toBinary(ResourceSpansSchema, madeSpans(2)));
    const results = await (await signer.sign(bytes)).results;
    const parts = spanParts(bytes).map((part, i) => {
      const result = results[i]!;
      return "attributes" in result ? withAttributes(part, result.attributes) : part;
    });
    await signer.close();
    kms.close();
    const jwks = await (await fetch(`${service!.url}/api/kms/tenants/acme/jwks.json`)).text();
    const opened = await browser.newPage({ ignoreHTTPSErrors: true });
    await opened.goto(origin!);
    const [verdicts, logs] = await opened.evaluate(
      async ({ jwks, signed }) => {
        const { parseKeySet, verifyExport, verifyLog } = (globalThis as unknown as PageGlobals).verifier;
        const keys = await parseKeySet(jwks);
        const bytes = Uint8Array.from(signed);
        const good = await verifyExport(keys, bytes, "acme");
        const { logs } = await verifyLog(keys, bytes, { tenantId: "acme" });
        const name = bytes.findIndex((byte, i) => byte === 0x73 && bytes[i + 1] === 0x2d);
        bytes[name] = 0x74;
        const reasons = [good, await verifyExport(keys, bytes, "acme")].map((each) => each.map(({ reason }) => reason));
        return [reasons, logs.map(({ spans, findings }) => [spans, findings.length])] as const;
      },
      { jwks, signed: [...exportOf(parts)] },
    );
    const altered = mode === SignMode.LOG ? "PROOF_INVALID" : "SIGNATURE_MISMATCH";
    expect(verdicts).toEqual([
      ["OK", "OK"],
      [altered, "OK"],
    ]);
    expect(logs).toEqual(mode === SignMode.LOG ? [[2, 0]] : []);
  });
});
