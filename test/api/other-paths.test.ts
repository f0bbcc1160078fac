/** Paths that are spelled otherwise, what is no request for a rpc, large bodies of strangers, and pages of other sites, on the whole service. */
import { once } from "node:events";
import { type IncomingHttpHeaders, request } from "node:http";
import { connect as http2Connect } from "node:http2";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bearerHeaders, type RunningService, startService } from "../support/running-service.ts";
import { oneRoleEach, tokenPolicy } from "../support/token-policy.ts";
import { destroySession } from "../support/destroy-session.ts";

const { tokens, files } = tokenPolicy(oneRoleEach);
let service: RunningService;
beforeAll(async () => {
  service = await startService({ "fluo.kms.http.allowed-origins": "https://app.example.org" }, { files });
});
afterAll(() => service.stop());

const rpc = "/fluo.kms.v1.KmsService/GenerateDataKey";
const json = { "content-type": "application/json" };

interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  url?: string;
}

/** fetch makes paths normal, and keeps Origin and Host to itself. */
async function ask(path: string, { method = "POST", headers = {}, body = "{}", url = service.url }: Asked = {}) {
  const { hostname, port } = new URL(url);
  const asked = request({ hostname, port, path, method, headers: { ...json, ...headers }, agent: false });
  asked.end(method === "POST" ? body : undefined);
  const [answer] = await once(asked, "response");
  return {
    status: answer.statusCode as number,
    headers: answer.headers as IncomingHttpHeaders,
    body: await text(answer),
  };
}

async function grpcStatus(path: string, headers: Record<string, string>): Promise<grpc.status | string> {
  const session = http2Connect(`http://127.0.0.1:${service.grpcPort}`);
  const all = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", ...headers };
  const stream = session.request(all);
  stream.end(Buffer.alloc(5));
  const [answered] = await once(stream, "response");
  await destroySession(session);
  return Number(answered["grpc-status"]);
}

describe("attack 56: a rpc by another path", () => {
  const others = [
    ...[`/${rpc}`, `${rpc}/`, rpc.toLowerCase(), rpc.toUpperCase(), `${rpc}?connect=v1`, "/KmsService/GenerateDataKey"],
    ...[rpc.replace("KmsService/", "KmsService//"), `/x${rpc}`, rpc.replace("Key", "%4Bey"), `${rpc}%2f`],
  ];

  it.each([...others, "/"])("is none by gRPC: %s", async (path) => {
    expect(await grpcStatus(path, bearerHeaders(tokens["generate-data-key"]))).toBe(grpc.status.UNIMPLEMENTED);
    expect(await grpcStatus(path, {})).toBe(grpc.status.UNAUTHENTICATED);
    expect(await grpcStatus(rpc, {})).toBe(grpc.status.UNAUTHENTICATED);
  });

  it("nor is it gRPC-Web there", async () => {
    const web = { "content-type": "application/grpc-web+proto" };
    for (const token of [tokens["generate-data-key"], undefined]) {
      const status = await grpcStatus(rpc, { ...web, ...bearerHeaders(token) });
      expect(status).toBe(token === undefined ? grpc.status.UNAUTHENTICATED : grpc.status.UNIMPLEMENTED);
    }
  });

  it.each(others.filter((path) => !/\?|\/\//.test(path)))("is none by HTTP: %s", async (path) => {
    const { status } = await ask(path, { headers: bearerHeaders(tokens["generate-data-key"]) });
    expect(status).toBe(404);
    const refused = await ask(path);
    expect([refused.status, refused.headers["www-authenticate"]]).toEqual([401, "Bearer"]);
  });

  it("is none by HTTP at the front page, which is open, and only read", async () => {
    for (const token of [undefined, tokens["generate-data-key"]]) {
      const { status, headers } = await ask("/", { headers: bearerHeaders(token) });
      expect([status, headers.allow]).toEqual([405, "GET, HEAD"]);
    }
  });

  it.each([`/${rpc}`, rpc.replace("KmsService/", "KmsService//"), "/q/../fluo.kms.v1.KmsService/GenerateDataKey"])(
    "is no target by HTTP, for whomever it is, if other readers may take it for another: %s",
    async (path) => {
      for (const token of [undefined, tokens["generate-data-key"]]) {
        expect((await ask(path, { headers: bearerHeaders(token) })).status).toBe(400);
      }
    },
  );

  it("needs the same role by ?connect= and GET", async () => {
    const read =
      "/fluo.kms.v1.KmsService/GetPublicKeys?connect=v1&encoding=json&message=%7B%22tenantId%22%3A%22acme%22%7D";
    const statusFor = async (token?: string) =>
      (await ask(read, { method: "GET", headers: bearerHeaders(token) })).status;
    expect(await statusFor(tokens.verify)).toBe(200);
    expect(await statusFor(tokens.sign)).toBe(403);
    expect(await statusFor()).toBe(401);
    expect((await ask(`${rpc}?connect=v1`)).status).toBe(401);
    const body = '{"tenantId":"acme"}';
    expect((await ask(`${rpc}?connect=v1`, { body, headers: bearerHeaders(tokens.sign) })).status).toBe(403);
  });
});

/** A connection, and all that comes on it. */
function open({ allowHalfOpen = false } = {}): { socket: Socket; answer: Promise<string> } {
  const { hostname: host, port } = new URL(service.url);
  const socket = connect({ host, port: Number(port), allowHalfOpen });
  const chunks: Buffer[] = [];
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => {});
  socket.on("close", () => resolve(Buffer.concat(chunks).toString()));
  return { socket, answer: promise };
}

describe("a stranger", () => {
  const head = (more: string, bytes: number) =>
    `POST ${rpc} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n${more}\r\n`;

  it("is told 401 in place of 100, and a caller 100", async () => {
    const strange = open();
    strange.socket.write(head("expect: 100-continue\r\n", 21));
    expect(await strange.answer).toMatch(/^HTTP\/1\.1 401 /);

    const known = open();
    const token = `authorization: Bearer ${tokens["generate-data-key"]}\r\nconnection: close\r\n`;
    known.socket.write(head(`expect: 100-continue\r\n${token}`, 19));
    await once(known.socket, "data");
    known.socket.write('{"tenantId":"acme"}');
    expect(await known.answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  });

  it("that writes all of a large body first reads why it is refused, 30 times of 30", async () => {
    for (let times = 0; times < 30; times += 1) {
      const { socket, answer } = open({ allowHalfOpen: true });
      socket.write(head("", 7 * 1024 * 1024));
      const body = Buffer.alloc(1024 * 1024, 0x20);
      for (let part = 0; part < 7; part += 1) {
        await new Promise<void>((resolve, reject) =>
          socket.write(body, (error) => (error ? reject(error) : resolve())),
        );
      }
      socket.end();
      expect(await answer).toMatch(/^HTTP\/1\.1 401 .*\r\nconnection: close\r\n/is);
    }
  });

  it("is not read for ever: behind 8 MiB its connection is closed", async () => {
    const { socket, answer } = open();
    socket.write(head("", 1024 * 1024 * 1024));
    const body = Buffer.alloc(1024 * 1024);
    let sent = 0;
    while (!socket.destroyed && sent < 200) {
      sent += 1;
      await new Promise((resolve) => socket.write(body, resolve));
    }
    await answer;
    expect(sent).toBeLessThan(100);
  });

  it("that asks for CONNECT is closed, and Upgrade is an ordinary request", async () => {
    const connecting = open();
    connecting.socket.write("CONNECT localhost:1 HTTP/1.1\r\nhost: localhost\r\n\r\n");
    expect(await connecting.answer).toMatch(/^HTTP\/1\.1 400 .*\r\nconnection: close\r\n/is);
    const upgrading = open();
    upgrading.socket.write(
      "GET /api/kms/whoami HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    );
    expect(await upgrading.answer).toMatch(/^HTTP\/1\.1 401 .*\r\nconnection: close\r\n/is);
  });
});

const preflight = { "access-control-request-method": "POST", "access-control-request-headers": "authorization" };
const corsOf = (headers: IncomingHttpHeaders) =>
  Object.keys(headers).filter((name) => name.startsWith("access-control-"));

describe("attack 58: a page of another origin", () => {
  it.each(["https://evil.example", "null", "http://app.example.org", "https://app.example.org.evil.example"])(
    "is refused with and without a preflight, and reads no CORS header: %s",
    async (origin) => {
      const headers = { origin, ...bearerHeaders(tokens["generate-data-key"]) };
      for (const asked of [
        { method: "OPTIONS", headers: { origin, ...preflight } },
        { headers },
        { headers: { origin } },
      ]) {
        const answer = await ask(rpc, asked);
        expect([answer.status, corsOf(answer.headers)]).toEqual([403, []]);
      }
    },
  );

  it("that is named is answered, and asked for its token", async () => {
    const origin = "https://app.example.org";
    const before = await ask(rpc, { method: "OPTIONS", headers: { origin, ...preflight } });
    expect([before.status, before.headers["access-control-allow-origin"]]).toEqual([204, origin]);
    expect((await ask(rpc, { headers: { origin } })).status).toBe(401);
    const headers = { origin, ...bearerHeaders(tokens["generate-data-key"]) };
    expect((await ask(rpc, { headers, body: '{"tenantId":"acme"}' })).status).toBe(200);
  });

  it("by a name that points here is refused where nobody is authenticated", async () => {
    const open = await startService();
    try {
      const asked = { url: open.url, body: '{"tenantId":"acme"}' };
      for (const headers of [
        { host: "evil.example" },
        { host: "evil.example", origin: "http://evil.example" },
        { host: "127.0.0.1.evil.example" },
        { origin: "https://evil.example" },
        { origin: "null" },
      ]) {
        const answer = await ask(rpc, { ...asked, headers });
        expect([answer.status, corsOf(answer.headers)]).toEqual([403, []]);
      }
      expect((await ask(rpc, asked)).status).toBe(200);
    } finally {
      await open.stop();
    }
  });
});
