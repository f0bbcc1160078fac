import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { connectHttp, type HttpConnection } from "../../src/provider/http.ts";
import { thrownBy } from "../support/matchers.ts";

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function connectTo(answer: RequestListener): Promise<HttpConnection> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => new Promise((closed) => void server.close(() => closed())));
  return connect((server.address() as AddressInfo).port);
}

function connect(port: number): HttpConnection {
  const base = new URL(`http://127.0.0.1:${port}/behind/`);
  const server = { who: "provider x", trustCertificate: () => "trust it" };
  const connection = connectHttp({ ...server, base, maxSockets: 2, maxAnswerBytes: 100 });
  ends.push(() => connection.close());
  return connection;
}

const get = { method: "GET", path: "key", headers: { "x-token": "t" } } as const;
const post = () =>
  ({ method: "POST", path: "key:encrypt", headers: {}, body: Buffer.from('{"plaintext":"c2VjcmV0"}') }) as const;

describe("a request to a provider", () => {
  it("goes behind the path of the address, with its headers, and brings back the whole answer", async () => {
    const seen: unknown[] = [];
    const connection = await connectTo(({ url, headers }, response) => {
      seen.push(url, headers["x-token"]);
      response.writeHead(429, { date: "Thu, 01 Jan 2026 00:00:00 GMT", "retry-after": "7" }).end("slower");
    });
    const { body, ...answer } = await connection.send(get);
    expect(answer).toEqual({ status: 429, dateMs: Date.UTC(2026, 0), retryAfter: "7" });
    expect(body.toString()).toBe("slower");
    expect(seen).toEqual(["/behind/v1/key", "t"]);
  });

  it("takes no date and no number of seconds from what is none", async () => {
    const connection = await connectTo((_, response) => {
      response.writeHead(200, { date: "yesterday", "retry-after": "soon" }).end();
    });
    expect(await connection.send(get)).toMatchObject({ dateMs: undefined, retryAfter: undefined });
  });

  it("follows no redirect", async () => {
    const paths: unknown[] = [];
    const connection = await connectTo(({ url }, response) => {
      paths.push(url);
      response.writeHead(307, { location: "/elsewhere" }).end();
    });
    expect((await connection.send(get)).status).toBe(307);
    expect(paths).toHaveLength(1);
  });

  it("overwrites its body, whether it was sent or refused", async () => {
    const bodies: string[] = [];
    const connection = await connectTo(async (request, response) => {
      for await (const chunk of request) bodies.push(String(chunk));
      response.end();
    });
    const [sent, refused, late] = [post(), post(), post()];
    await connection.send(sent);
    expect(bodies).toEqual(['{"plaintext":"c2VjcmV0"}']);
    expect(await thrownBy(() => connection.send(refused, AbortSignal.abort()))).toBeKmsError("CANCELLED");
    connection.close();
    expect(await thrownBy(() => connection.send(late))).toBeKmsError("PROVIDER_UNAVAILABLE", "provider x is closed");
    for (const { body } of [sent, refused, late]) expect(body.every((byte) => byte === 0)).toBe(true);
  });

  it("is refused an answer that is longer than it may be, and one that breaks off", async () => {
    const long = await connectTo((_, response) => void response.end("x".repeat(101)));
    expect(await thrownBy(() => long.send(get))).toBeKmsError("PROVIDER_UNAVAILABLE", "provider x did not answer");
    const broken = await connectTo((_, response) => {
      response.writeHead(200, { "content-length": 50 }).write("x", () => response.destroy());
    });
    expect(await thrownBy(() => broken.send(get))).toBeKmsError("PROVIDER_UNAVAILABLE", "provider x did not answer");
  });

  it("ends when its caller leaves", async () => {
    const caller = new AbortController();
    const connection = await connectTo(() => caller.abort());
    expect(await thrownBy(() => connection.send(get, caller.signal))).toBeKmsError("CANCELLED");
  });

  it("says by its code why nobody answers", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await new Promise((closed) => void server.close(closed));
    const thrown = await thrownBy(() => connect(port).send(get));
    expect(thrown).toBeKmsError("PROVIDER_UNAVAILABLE", "provider x did not answer (ECONNREFUSED)");
  });
});
