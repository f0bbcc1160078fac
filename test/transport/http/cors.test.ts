/** Pages of other sites: those that the operator has named may call with a token; all others are refused, and learn nothing. */
import { once } from "node:events";
import { type IncomingHttpHeaders, request } from "node:http";
import { text } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { GenerateDataKeyResponseSchema } from "../../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { StatusResponseSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { GetPublicKeysResponseSchema } from "../../../gen/ts/fluo/kms/v1/public_key_pb.ts";
import { underPolicy } from "../../support/policy-door.ts";
import { startTransports, type TransportOptions } from "../../support/transports-fixture.ts";

const app = "https://app.example.org";
const other = "https://other.example.org:8443";
const rpc = "/fluo.kms.v1.KmsService/GenerateDataKey";
const readRpc = "/fluo.kms.v1.KmsService/GetPublicKeys";
const statusPath = "/api/admin/kms/status";
const tile = "/api/kms/tenants/acme/log/tile/0/000";
const policy = `
version: 1
tokens: [{ name: page, sha256: "${"0".repeat(64)}" }]
rules:
  - name: page
    who: { token: page }
    roles: [generate-data-key, status, metrics, verify]
    tenants: "*"
`;
const { door } = underPolicy({ policy, callers: { page: { kind: "token", token: "page" } } });

interface Asked {
  method?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Uint8Array;
}

/** fetch keeps Origin, Host and what a browser asks before to itself. */
async function start(options: TransportOptions) {
  const called: string[] = [];
  const transports = await startTransports(
    {
      generateDataKey() {
        called.push("generateDataKey");
        return create(GenerateDataKeyResponseSchema);
      },
      status: () => create(StatusResponseSchema),
      getPublicKeys: () => create(GetPublicKeysResponseSchema),
    },
    {
      logs: {
        getCheckpoint: () => ({ checkpoint: Buffer.from("checkpoint") }) as never,
        getTile: () => new Uint8Array(32) as never,
      },
      ...options,
    },
  );
  onTestFinished(() => transports.stop());
  async function ask(path: string, { method = "GET", headers = {}, body }: Asked = {}) {
    const asked = request(transports.url + path, { method, headers, agent: false }).end(body);
    const [answer] = await once(asked, "response");
    return {
      status: answer.statusCode as number,
      headers: answer.headers as IncomingHttpHeaders,
      body: await text(answer),
    };
  }
  return { ask, called, host: new URL(transports.url).host };
}

const preflight = { "access-control-request-method": "POST", "access-control-request-headers": "authorization" };
const json = { "content-type": "application/json" };
const token = { authorization: "Bearer page" };

function corsHeaders(headers: IncomingHttpHeaders) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("access-control-")));
}

const ofPreflight = (origin: string) => ({
  "access-control-allow-origin": origin,
  "access-control-allow-methods": "GET, POST",
  "access-control-allow-headers":
    "authorization, content-type, connect-protocol-version, connect-timeout-ms, grpc-timeout, x-grpc-web, x-user-agent, traceparent, tracestate",
  "access-control-max-age": "7200",
});
const ofAnswer = (origin: string) => ({
  "access-control-allow-origin": origin,
  "access-control-expose-headers": "grpc-status, grpc-message, grpc-status-details-bin, retry-after",
});

describe("a page of a site that is named", () => {
  it.each([app, other])("has its preflight answered without a credential: %s", async (origin) => {
    const { ask, called } = await start({ door, allowedOrigins: [app, other] });
    for (const path of [rpc, statusPath, tile, "/nothing"]) {
      const { status, headers, body } = await ask(path, { method: "OPTIONS", headers: { origin, ...preflight } });
      expect({ status, body, vary: headers.vary }).toEqual({ status: 204, body: "", vary: "origin" });
      expect(corsHeaders(headers)).toEqual(ofPreflight(origin));
    }
    expect(called).toEqual([]);
  });

  it("calls with a token, and reads the answer", async () => {
    const { ask, called } = await start({ door, allowedOrigins: [app] });
    const asked = { method: "POST", headers: { origin: app, ...json, ...token }, body: "{}" };
    const { status, headers } = await ask(rpc, asked);
    expect({ status, vary: headers.vary, kept: headers["cache-control"] }).toEqual({
      status: 200,
      vary: "origin",
      kept: "no-store",
    });
    expect(corsHeaders(headers)).toEqual(ofAnswer(app));
    expect(called).toEqual(["generateDataKey"]);
  });

  it.each([
    ["without a token", {}, 401, "no credential"],
    ["with a bad one", { authorization: "Bearer other" }, 401, "the token is not accepted"],
  ])("reads why it is refused %s", async (_, credential, status, message) => {
    const { ask, called } = await start({ door, allowedOrigins: [app] });
    const refused = await ask(statusPath, { headers: { origin: app, ...credential } });
    expect([refused.status, JSON.parse(refused.body).message]).toEqual([status, message]);
    expect(corsHeaders(refused.headers)).toEqual(ofAnswer(app));
    expect(called).toEqual([]);
  });

  it("is asked for a token by everything that is no preflight", async () => {
    const { ask } = await start({ door, allowedOrigins: [app] });
    expect((await ask(rpc, { method: "OPTIONS", headers: { origin: app } })).status).toBe(401);
    expect((await ask(rpc, { method: "OPTIONS", headers: preflight })).status).toBe(401);
    expect(
      (await ask(rpc, { method: "POST", headers: { origin: app, ...preflight, ...json }, body: "{}" })).status,
    ).toBe(401);
  });
});

describe("attack 58: a page of another origin", () => {
  const origins: [what: string, origin: string | string[]][] = [
    ["of another site", "https://evil.example"],
    ["in a sandbox", "null"],
    ["in plain text", "http://app.example.org"],
    ["at another port", `${app}:8443`],
    ["at the port that is left out", `${app}:443`],
    ["whose name begins alike", `${app}.evil.example`],
    ["whose name ends alike", "https://evil-app.example.org"],
    ["below the site", "https://sub.app.example.org"],
    ["with a slash", `${app}/`],
    ["in capitals", app.toUpperCase()],
    ["and the site that is named", [app, "https://evil.example"]],
    ["named like a member of every object", "constructor"],
    ["that is empty", ""],
  ];

  it.each(origins)("is refused without and with a preflight, and without any CORS header: %s", async (_, origin) => {
    const { ask, called } = await start({ door, allowedOrigins: [app] });
    const asked: [string, Asked][] = [
      [rpc, { method: "OPTIONS", headers: { origin, ...preflight } }],
      [rpc, { method: "POST", headers: { origin, ...json, ...token }, body: "{}" }],
      [`${readRpc}?connect=v1&encoding=json&message=%7B%7D`, { headers: { origin, ...token } }],
      [statusPath, { headers: { origin, ...token } }],
      [tile, { headers: { origin, ...token } }],
    ];
    for (const [path, request] of asked) {
      const { status, headers } = await ask(path, request);
      expect([status, corsHeaders(headers), headers["cache-control"]]).toEqual([403, {}, "no-store"]);
    }
    expect(called).toEqual([]);
  });

  it.each(["https://evil.example", "null", app])("is refused where none is named: %s", async (origin) => {
    for (const options of [{ door }, {}]) {
      const { ask, called } = await start(options);
      for (const method of ["OPTIONS", "POST"]) {
        const { status, headers } = await ask(rpc, { method, headers: { origin, ...preflight, ...json, ...token } });
        expect([status, corsHeaders(headers), headers.vary]).toEqual([403, {}, undefined]);
      }
      expect(called).toEqual([]);
    }
  });

  it("is refused under none by the name that it pointed here, be its origin named (DNS rebinding)", async () => {
    const { ask, called } = await start({ allowedOrigins: [app] });
    for (const origin of [app, "http://evil.example", undefined]) {
      for (const method of ["OPTIONS", "POST"]) {
        const headers = { host: "evil.example", ...(origin && { origin }), ...preflight, ...json };
        const { status, headers: answered } = await ask(rpc, { method, headers, body: method === "POST" ? "{}" : "" });
        expect([status, corsHeaders(answered)]).toEqual([403, {}]);
      }
    }
    expect(called).toEqual([]);
  });

  it("leaves the service's own page and programs as they are", async () => {
    const { ask, host } = await start({ door, allowedOrigins: [app] });
    for (const origin of [`https://${host}`, `http://${host}`, undefined]) {
      const { status, headers } = await ask(statusPath, { headers: { ...token, ...(origin && { origin }) } });
      expect([status, corsHeaders(headers), headers.vary]).toEqual([200, {}, "origin"]);
      const asked = { method: "OPTIONS", headers: { ...preflight, ...(origin && { origin }) } };
      const before = await ask(statusPath, asked);
      expect([before.status, corsHeaders(before.headers)]).toEqual([401, {}]);
    }
  });
});

describe("an answer to a caller who is known", () => {
  const connectGet = `${readRpc}?connect=v1&encoding=json&message=%7B%22tenantId%22%3A%22acme%22%7D`;
  const webBody = Buffer.of(0, 0, 0, 0, 0);
  const answers: [what: string, path: string, asked: Asked, status: number][] = [
    ["Connect", rpc, { method: "POST", headers: json, body: "{}" }, 200],
    ["Connect by GET", connectGet, {}, 200],
    [
      "gRPC-Web",
      rpc,
      { method: "POST", headers: { "content-type": "application/grpc-web+proto" }, body: webBody },
      200,
    ],
    ["administration", statusPath, {}, 200],
    ["metrics", "/q/metrics", {}, 200],
    ["who it is", "/api/kms/whoami", {}, 200],
    ["a checkpoint", "/api/kms/tenants/acme/log/checkpoint", {}, 200],
    ["a refusal", "/api/admin/kms/rotate", { method: "POST", body: "[" }, 400],
    ["no path", "/nothing", {}, 404],
  ];

  it.each(answers)("is kept by nobody: %s", async (_, path, { headers = {}, ...asked }, status) => {
    const { ask } = await start({ door });
    const answer = await ask(path, { ...asked, headers: { ...headers, ...token } });
    expect([answer.status, answer.headers["cache-control"]]).toEqual([status, "no-store"]);
  });

  it.each([
    ["hashes", tile, "authorization"],
    ["entries", "/api/kms/tenants/acme/log/tile/entries/000", "authorization, accept-encoding"],
  ])("is kept by the caller alone, for ever, if it is a tile: %s", async (_, path, vary) => {
    const kept = "private, max-age=31536000, immutable";
    for (const [allowedOrigins, expected] of [
      [[], vary],
      [[app], `origin, ${vary}`],
    ] as const) {
      const { ask } = await start({ door, allowedOrigins });
      const { headers } = await ask(path, { headers: token });
      expect([headers["cache-control"], headers.vary]).toEqual([kept, expected]);
    }
  });
});

it("never lets a browser's own credentials be used", async () => {
  const { ask } = await start({ door, allowedOrigins: [app] });
  for (const method of ["OPTIONS", "GET"]) {
    const { headers } = await ask(statusPath, { method, headers: { origin: app, ...preflight, ...token } });
    expect(headers).not.toHaveProperty("access-control-allow-credentials");
  }
});
