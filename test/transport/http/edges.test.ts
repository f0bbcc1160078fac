/** HTTP at its edges: targets and Hosts of two meanings, JSON of two meanings, headers of every answer, and what is no HTTP. */
import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StatusResponseSchema, ValidateResponseSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { RotateResponseSchema } from "../../../gen/ts/fluo/kms/v1/rotation_pb.ts";
import { startTransports, type Transports } from "../../support/transports-fixture.ts";

let service: Transports;
beforeAll(async () => {
  service = await startTransports({
    status: async () => create(StatusResponseSchema),
    validate: async () => create(ValidateResponseSchema),
    rotate: async () => create(RotateResponseSchema),
  });
});
afterAll(() => service.stop());

/** Sends bytes as they are, and gives back all that comes. */
async function sendRaw(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(service.url).port), "127.0.0.1");
  await once(socket, "connect");
  socket.write(bytes, "latin1");
  return text(socket);
}

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
const host = "host: localhost\r\nconnection: close\r\n";

/** Also that one line more is in the log, and one error more in the metrics. */
async function refused(bytes: string, status = 400, code = "INVALID_ARGUMENT"): Promise<string> {
  const pattern = new RegExp(`kms_errors_total\\{operation="unknown",code="${code}"\\} (\\d+)`);
  const count = async () => Number(pattern.exec(await service.metrics())?.[1] ?? 0);
  const [before, lines] = [await count(), service.logged.length];
  const answer = await sendRaw(bytes);
  expect(statusOf(answer)).toBe(status);
  expect(answer).toMatch(/^x-content-type-options: nosniff\r$/im);
  expect(await count()).toBe(before + 1);
  expect(service.logged.slice(lines).map((line) => JSON.parse(line))).toMatchObject([{ method: "unknown", code }]);
  return answer;
}

it("what follows a HEAD and is no request is refused without a body, as an answer to HEAD has none", async () => {
  const head = `HEAD /fluo.kms.v1.KmsService/Status HTTP/1.1\r\nhost: localhost\r\n\r\n`;
  expect(await sendRaw(`${head}{"no":"request"}`)).toMatch(/^HTTP\/1\.1 40[05] [^{]*\r\n\r\n$/);
});

describe("a request target", () => {
  const served = [
    "/q/health",
    "/q/metrics",
    "/api/admin/kms/status",
    "/api/kms/tenants/acme/jwks.json",
    "/fluo.kms.v1.KmsService/Status",
  ];
  const changes: [string, (path: string) => string][] = [
    ["a segment ..", (path) => `/x/..${path}`],
    ["a segment .", (path) => `/.${path}`],
    ["a segment .. that is escaped", (path) => `/x/%2e%2E${path}`],
    ["a segment of both", (path) => `/x/.%2e${path}`],
    ["a dot that is escaped", (path) => path.replace(/(?<=[a-z])(?=[a-z])/, "%2e")],
    ["a backslash", (path) => path.replace(/^\//, "\\")],
    ["a backslash within", (path) => path.replace(/\/(?=[^/]+$)/, "\\")],
    ["two slashes", (path) => `/${path}`],
    ["two slashes within", (path) => path.replace(/\/(?=[^/]+$)/, "//")],
    ["two slashes behind", (path) => `${path}//`],
    ["a tab", (path) => path.replace(/(?<=[a-z])(?=[a-z])/, "\t")],
    ["a byte beyond ASCII", (path) => `${path}\xe9`],
    ["an angle bracket", (path) => `${path}<`],
    ["a fragment", (path) => `${path}#`],
    ["a fragment behind a query", (path) => `${path}?a#b`],
    ["a scheme and a host", (path) => `http://localhost${path}`],
    ["a host alone", (path) => `//localhost${path}`],
    ["a star", () => "*"],
    ["no slash", (path) => path.slice(1)],
  ];

  it.each(changes)("with %s is 400 at every path", async (_what, change) => {
    for (const path of served) {
      const target = change(path);
      expect(target).not.toBe(path);
      await refused(`GET ${target} HTTP/1.1\r\n${host}\r\n`);
      await refused(`POST ${target} HTTP/1.1\r\n${host}content-length: 2\r\n\r\n{}`);
    }
  });

  it("that is normal is served, whatever its query", async () => {
    for (const query of ["", "?", "?a=//../%2e\\", "?tenant_id="]) {
      expect(statusOf(await sendRaw(`GET /q/health${query} HTTP/1.1\r\n${host}\r\n`))).toBe(200);
      expect(statusOf(await sendRaw(`GET /api/admin/kms/status${query} HTTP/1.1\r\n${host}\r\n`))).toBe(200);
    }
  });
});

describe("a Host header", () => {
  const get = "GET /q/health HTTP/1.1\r\nconnection: close\r\n";

  it.each([
    ["another that is served too", "host: localhost\r\nhost: 127.0.0.1\r\n"],
    ["the same", "host: localhost\r\nHost: localhost\r\n"],
    ["one of elsewhere", "host: localhost\r\nHOST: evil.example\r\n"],
  ])("is 400 with a second one: %s", (_what, hosts) => refused(`${get}${hosts}\r\n`).then(() => {}));

  it("is needed, and one is enough", async () => {
    await refused(`${get}\r\n`);
    expect(statusOf(await sendRaw(`${get}host: localhost\r\n\r\n`))).toBe(200);
  });
});

describe("what is no request that is served", () => {
  it.each([
    ["no HTTP", "hello\r\n\r\n", 400],
    ["two lengths", `POST /q/health HTTP/1.1\r\n${host}content-length: 1\r\ncontent-length: 2\r\n\r\n`, 400],
    [
      "a length and chunks",
      `POST /q/health HTTP/1.1\r\n${host}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`,
      400,
    ],
    ["CONNECT", `CONNECT localhost:1 HTTP/1.1\r\n${host}\r\n`, 400],
  ])("is refused and logged: %s", (_what, bytes, status) => refused(bytes, status).then(() => {}));

  it("is refused and logged: headers past 16 KiB, a path that is none, a verb that is another", async () => {
    const large = `GET /q/health HTTP/1.1\r\n${host}x: ${"x".repeat(20_000)}\r\n\r\n`;
    await refused(large, 431, "RESOURCE_EXHAUSTED");
    await refused(`GET /nothing HTTP/1.1\r\n${host}\r\n`, 404, "NOT_FOUND");
    await refused(
      `POST /fluo.kms.v1.KmsService/Nothing HTTP/1.1\r\n${host}content-length: 0\r\n\r\n`,
      404,
      "NOT_FOUND",
    );
    expect(await refused(`DELETE /q/health HTTP/1.1\r\n${host}\r\n`, 405)).toMatch(/^allow: GET, HEAD\r$/im);
  });

  it("is no expectation that is unknown: the request is read as without it", async () => {
    expect(statusOf(await sendRaw(`GET /q/health HTTP/1.1\r\n${host}expect: nothing\r\n\r\n`))).toBe(200);
  });
});

it.each([
  ["/", 200],
  ["/q/health", 200],
  ["/q/health/live", 200],
  ["/q/health/ready", 200],
  ["/q/metrics", 200],
  ["/api/admin/kms/status", 200],
  ["/api/admin/kms/validate", 405],
  ["/nothing", 404],
])("HEAD of %s has the status and headers of GET, and no body", async (path, status) => {
  const headOf = async (method: string) => {
    const [head, body] = (await sendRaw(`${method} ${path} HTTP/1.1\r\n${host}\r\n`)).split("\r\n\r\n");
    // Metrics of another moment have another length.
    const length = path === "/q/metrics" ? /(?<=content-length: )[1-9]\d+/i : "";
    return { head: head!.replace(/^date: .*$/im, "").replace(length, ""), body };
  };
  const head = await headOf("HEAD");
  expect(head).toEqual({ head: (await headOf("GET")).head, body: "" });
  expect(statusOf(head.head)).toBe(status);
  expect(head.head).toMatch(/^content-length: /im);
});

it("has 503 for HEAD, as for GET, while the service is down", async () => {
  service.becomes("down");
  expect((await fetch(`${service.url}/q/health/ready`, { method: "HEAD" })).status).toBe(503);
  service.becomes("operational");
});

it("nosniff is on every answer", async () => {
  for (const [path, init] of [
    ["/", {}],
    ["/q/health", {}],
    ["/q/metrics", {}],
    ["/nothing", {}],
    ["/api/admin/kms/status", {}],
    ["/fluo.kms.v1.KmsService/Status", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }],
    ["/fluo.kms.v1.KmsService/Status", { method: "POST", headers: { "content-type": "application/json" }, body: "[" }],
    ["/fluo.kms.v1.KmsService/Status", { method: "PUT" }],
  ] as const) {
    const { headers } = await fetch(service.url + path, init);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  }
});

describe("JSON for administration", () => {
  const post = async (path: string, body: string | Uint8Array) => {
    const response = await fetch(`${service.url}/api/admin/kms/${path}`, { method: "POST", body: Buffer.from(body) });
    return { status: response.status, body: (await response.json()) as { fields: { field: string }[] } };
  };

  it.each([
    ["a member twice", '{"tenant_id":"a","tenant_id":"a"}', ["tenant_id"]],
    ["a member twice, once escaped", '{"tenant_id":"a","tenant\\u005fid":"b"}', ["tenant_id"]],
    ["an unknown member twice", '{"force":true,"x":1,"x":2}', ["x"]],
    ["a list", "[]", [""]],
    ["half of it", '{"tenant_id":', [""]],
  ])("is refused with %s", async (_what, body, fields) => {
    for (const path of ["rotate", "validate"]) {
      const answer = await post(path, body);
      expect([answer.status, answer.body.fields.map(({ field }) => field)]).toEqual([400, fields]);
    }
  });

  it("is refused where it is not UTF-8, and taken where it is", async () => {
    expect((await post("rotate", Buffer.from('{"tenant_id":"\xff"}', "latin1"))).status).toBe(400);
    expect((await post("rotate", '{"tenant_id":"a","dry_run":true}')).status).toBe(200);
    expect((await post("rotate", "")).status).toBe(200);
  });
});

describe("a name that the caller made up", () => {
  const secret = "hunter2";

  it.each([
    ["Connect", "/fluo.kms.v1.KmsService/Status", `{"${secret}":1}`],
    ["Connect, within", "/fluo.kms.v1.KmsService/SignSpan", `{"span":{"${secret}":1}}`],
    ["Connect, twice", "/fluo.kms.v1.KmsService/Status", `{"${secret}":1,"${secret}":1}`],
    [
      "Connect, as a key",
      "/fluo.kms.v1.KmsService/GenerateDataKey",
      `{"encryptionContext":{"${secret}":"a","${secret}":"a"}}`,
    ],
    ["administration", "/api/admin/kms/rotate", `{"${secret}":1}`],
    ["administration, twice", "/api/admin/kms/rotate", `{"${secret}":1,"${secret}":1}`],
    ["administration, as a number", "/api/admin/kms/rotate", `{"${secret}":12345678901234567890}`],
  ])("goes back to the caller and not into the log: %s", async (_what, path, body) => {
    const lines = service.logged.length;
    const headers = { "content-type": "application/json" };
    const response = await fetch(service.url + path, { method: "POST", headers, body });
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining(secret)]);
    const logged = service.logged.slice(lines);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain("call failed");
    expect(logged[0]).not.toContain(secret);
  });
});
