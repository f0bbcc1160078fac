import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { type KeySourceOptions, keySource } from "../../../src/auth/token/key-source.ts";
import { newAuthority } from "../../support/pki.ts";
import { sharedKey } from "../../support/signed-tokens.ts";
import { realTime } from "../../../src/runtime/time.ts";

const folder = mkdtempSync(join(tmpdir(), "fluo-kms-key-source-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

/** A server's certificate that is its own authority. */
const selfSigned = () =>
  newAuthority({ name: "localhost", keyUsage: null, dns: ["localhost"], addresses: ["127.0.0.1"] });
const certificate = selfSigned();
const ca = file("ca.pem", certificate.pem);
const set = { keys: [sharedKey("ES256", "k").jwk] };

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function listening(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Open connections of the server that was started last. */
async function connections(): Promise<number> {
  const server = servers.at(-1)!;
  return new Promise((resolve, reject) => server.getConnections((error, n) => (error ? reject(error) : resolve(n))));
}

type Pages = Record<string, unknown | RequestListener>;

/** A server that answers paths with JSON, text or as a function does; `seen` has the requests. */
async function serve(pages: Pages, secure = true) {
  const seen: IncomingMessage[] = [];
  const listener: RequestListener = (request, response) => {
    seen.push(request);
    const page = pages[request.url!];
    if (typeof page === "function") page(request, response);
    else if (page === undefined) response.writeHead(404).end();
    else response.end(typeof page === "string" ? page : JSON.stringify(page));
  };
  const { pem: cert, key } = certificate;
  const port = await listening(secure ? createHttpsServer({ cert, key }, listener) : createHttpServer(listener));
  return { port, seen, pages, origin: `http${secure ? "s" : ""}://localhost:${port}` };
}

interface Given {
  at?: string;
  issuer?: string;
  ca?: string | undefined;
  tokenFile?: string;
}

function load(given: Given, options: Partial<KeySourceOptions> = {}, signal = new AbortController().signal) {
  const keys = given.at === undefined ? ({ from: "discovery" } as const) : ({ from: "address", at: given.at } as const);
  const { issuer, tokenFile } = given;
  const source = { issuer, keys, ca: "ca" in given ? given.ca : ca, tokenFile };
  return keySource(source, { environment: {}, plainLoopback: false, time: realTime, ...options })(signal);
}

describe("a key set at an address", () => {
  it("is fetched by HTTPS, under the authority of the policy", async () => {
    const { origin, seen } = await serve({ "/keys?p=1": set });
    expect(await load({ at: `${origin}/keys?p=1` })).toEqual(set);
    expect(seen[0]!.headers).toMatchObject({ accept: "application/json" });
    expect(seen[0]!.headers).not.toHaveProperty("authorization");
  });

  it("is fetched under the system's authorities, also where the policy has one beside them", async () => {
    const { origin } = await serve({ "/keys": set });
    const other = file("beside.pem", selfSigned().pem);
    const system = getCACertificates("default");
    try {
      setDefaultCACertificates([certificate.pem]);
      expect(await load({ at: `${origin}/keys`, ca: undefined })).toEqual(set);
      expect(await load({ at: `${origin}/keys`, ca: other })).toEqual(set);
    } finally {
      setDefaultCACertificates(system);
    }
    await expect(load({ at: `${origin}/keys`, ca: other })).rejects.toThrow("certificate");
  });

  it("is not fetched where nobody vouches for the server, or for another name", async () => {
    const { origin, port, seen } = await serve({ "/keys": set });
    await expect(load({ at: `${origin}/keys`, ca: undefined })).rejects.toThrow("self-signed");
    await expect(load({ at: `${origin}/keys`, ca: file("other.pem", selfSigned().pem) })).rejects.toThrow(
      "certificate",
    );
    await expect(load({ at: `https://127.0.0.2:${port}/keys` })).rejects.toThrow("127.0.0.2");
    expect(seen).toEqual([]);
  });

  it("is fetched under an authority that was renewed since", async () => {
    const { origin } = await serve({ "/keys": set });
    const renewed = file("renewed.pem", selfSigned().pem);
    const source = {
      issuer: undefined,
      keys: { from: "address", at: `${origin}/keys` },
      ca: renewed,
      tokenFile: undefined,
    } as const;
    const fetchKeys = keySource(source, { time: realTime, environment: {}, plainLoopback: false });
    const { signal } = new AbortController();
    await expect(fetchKeys(signal)).rejects.toThrow("certificate");
    file("renewed.pem", certificate.pem);
    expect(await fetchKeys(signal)).toEqual(set);
  });

  it("is not fetched by http:, unless it is of this machine and that is allowed", async () => {
    const { origin, port, seen } = await serve({ "/keys": set }, false);
    await expect(load({ at: `${origin}/keys` })).rejects.toThrow("only https: is");
    await expect(load({ at: "http://192.0.2.1/keys" }, { plainLoopback: true })).rejects.toThrow("only https: is");
    await expect(load({ at: "http://127.0.0.1.example.org/keys" }, { plainLoopback: true })).rejects.toThrow(
      "only https",
    );
    await expect(load({ at: `file://${ca}` }, { plainLoopback: true })).rejects.toThrow("only https: is");
    await expect(load({ at: "ftp://localhost/keys" }, { plainLoopback: true })).rejects.toThrow("only https: is");
    expect(seen).toEqual([]);
    expect(await load({ at: `${origin}/keys` }, { plainLoopback: true })).toEqual(set);
    expect(await load({ at: `http://127.0.0.1:${port}/keys` }, { plainLoopback: true })).toEqual(set);
  });

  it("attack 30: of a redirect is not followed", async () => {
    const other = await serve({ "/keys": set });
    const { origin } = await serve({
      "/keys": (_: unknown, response: { writeHead(status: number, headers: object): { end(): void } }) =>
        response.writeHead(302, { location: `${other.origin}/keys` }).end(),
    });
    await expect(load({ at: `${origin}/keys` })).rejects.toThrow(`${origin}/keys: answers 302`);
    expect(other.seen).toEqual([]);
  });

  it("attack 30: has at most 256 KiB, and what comes behind is not read", async () => {
    const largest = `{"keys":"${"x".repeat(256 * 1024 - 11)}"}`;
    const endless = Promise.withResolvers<void>();
    const { origin } = await serve({
      "/largest": largest,
      "/larger": `${largest} `,
      "/endless": ((_, response) => {
        const write = () => {
          while (!response.destroyed && response.write("x".repeat(65_536)));
        };
        response.on("drain", write).on("close", endless.resolve);
        write();
      }) satisfies RequestListener,
    });
    expect(await load({ at: `${origin}/largest` })).toHaveProperty("keys");
    await expect(load({ at: `${origin}/larger` })).rejects.toThrow("more than 262144 bytes");
    await expect(load({ at: `${origin}/endless` })).rejects.toThrow("more than 262144 bytes");
    await endless.promise;
  });

  it("attack 30: is a JSON object, and no part of another answer is told", async () => {
    const { origin } = await serve({ "/html": "<html>canary</html>", "/empty": "", "/array": "[1]", "/null": "null" });
    const failure = async (path: string) => `${await load({ at: origin + path }).catch((error) => error)}`;
    expect(await failure("/html")).toBe(`Error: ${origin}/html: answers what is no JSON`);
    expect(await failure("/empty")).toContain("no JSON");
    expect(await failure("/array")).toContain("no object");
    expect(await failure("/null")).toContain("no object");
    expect(await failure("/nothing")).toContain("answers 404");
  });

  it("attack 30: that is slow is given up, and its connection closed", async () => {
    const { origin } = await serve({
      "/silent": (() => {}) satisfies RequestListener,
      "/slow": ((_, response) => void response.write('{"keys":[')) satisfies RequestListener,
    });
    for (const path of ["/silent", "/slow"]) {
      await expect(load({ at: origin + path }, { limitMs: 200 })).rejects.toThrow("no key set within 200 ms");
      await expect.poll(connections).toBe(0);
    }
  });

  it("attack 30: that is an error without end is not read, and its connection closed", async () => {
    const { origin } = await serve({
      "/keys": ((_, response) => void response.writeHead(500).write("x")) satisfies RequestListener,
    });
    await expect(load({ at: `${origin}/keys` })).rejects.toThrow("answers 500");
    await expect.poll(connections).toBe(0);
  });

  it("is given up by http: as by https:", async () => {
    const { origin } = await serve({ "/keys": (() => {}) satisfies RequestListener }, false);
    const options = { plainLoopback: true, limitMs: 200 };
    await expect(load({ at: `${origin}/keys` }, options)).rejects.toThrow("no key set within 200 ms");
    await expect.poll(connections).toBe(0);
  });

  it("is given up when the service closes", async () => {
    const closing = new AbortController();
    const { origin } = await serve({ "/silent": (() => closing.abort()) satisfies RequestListener });
    await expect(load({ at: `${origin}/silent` }, {}, closing.signal)).rejects.toThrow("aborted");
  });

  it("cannot be had from a server that is away", async () => {
    const { origin } = await serve({});
    servers.at(-1)!.close();
    await expect(load({ at: `${origin}/keys` })).rejects.toThrow("ECONNREFUSED");
  });
});

describe("a token file", () => {
  it("is read at each fetch, and sent as bearer", async () => {
    const { origin, seen } = await serve({ "/keys": set });
    const tokenFile = file("token", "first\n");
    const source = { issuer: undefined, keys: { from: "address", at: `${origin}/keys` }, ca, tokenFile } as const;
    const fetchKeys = keySource(source, { time: realTime, environment: {}, plainLoopback: false });
    const { signal } = new AbortController();
    await fetchKeys(signal);
    file("token", "second");
    await fetchKeys(signal);
    expect(seen.map(({ headers }) => headers.authorization)).toEqual(["Bearer first", "Bearer second"]);
  });

  it("that cannot be read or is no token fails the load, and is not told", async () => {
    const { origin, seen } = await serve({ "/keys": set });
    await expect(load({ at: `${origin}/keys`, tokenFile: join(folder, "none") })).rejects.toThrow("ENOENT");
    for (const text of ["", " \n", "can\nary", "canary x", "canäry"]) {
      const error = await load({ at: `${origin}/keys`, tokenFile: file("bad", text) }).catch((each) => each);
      expect(error.message).toBe("token-file has no token");
    }
    expect(seen).toEqual([]);
  });
});

describe("discovery", () => {
  const path = "/.well-known/openid-configuration";

  it.each(["", "/", "/realms/fluo", "/realms/fluo/"])(
    "finds the key set of an issuer with the path %j",
    async (base) => {
      const { origin, pages, seen } = await serve({ "/keys": set });
      const issuer = origin + base;
      pages[base.replace(/\/$/, "") + path] = { issuer, jwks_uri: `${origin}/keys` };
      expect(await load({ issuer })).toEqual(set);
      expect(seen).toHaveLength(2);
    },
  );

  it("attack 30: of another issuer is refused", async () => {
    const { origin, pages, seen } = await serve({ "/keys": set });
    for (const issuer of [`${origin}/`, origin.toUpperCase(), "https://other.example.org", undefined, [origin]]) {
      pages[path] = { issuer, jwks_uri: `${origin}/keys` };
      await expect(load({ issuer: origin })).rejects.toThrow("of another issuer");
    }
    expect(seen.every(({ url }) => url === path)).toBe(true);
  });

  it("needs an address of a key set, which is held to the same rules", async () => {
    const { origin, pages, seen } = await serve({ "/keys": set });
    const discovered = (address: unknown) => {
      pages[path] = { issuer: origin, jwks_uri: address };
      return load({ issuer: origin });
    };
    await expect(discovered(undefined)).rejects.toThrow("no jwks_uri");
    await expect(discovered(["x"])).rejects.toThrow("no jwks_uri");
    await expect(discovered("/keys")).rejects.toThrow("no plain address");
    await expect(discovered(origin.replace("//", "//user:pass@"))).rejects.toThrow("no plain address");
    await expect(discovered(origin.replace("//", "//user@"))).rejects.toThrow("no plain address");
    await expect(discovered(origin.replace("//", "//:pass@"))).rejects.toThrow("no plain address");
    await expect(discovered("http://localhost/keys")).rejects.toThrow("only https: is");
    await expect(discovered(`file://${ca}`)).rejects.toThrow("only https: is");
    expect(seen.every(({ url }) => url === path)).toBe(true);
  });

  it("sends the token of a token file to the issuer's host alone", async () => {
    const other = await serve({ "/keys": set });
    const { origin, pages, seen } = await serve({ "/keys": set });
    const tokenFile = file("token", "secret");
    pages[path] = { issuer: origin, jwks_uri: `${origin}/keys` };
    expect(await load({ issuer: origin, tokenFile })).toEqual(set);
    expect(seen.map(({ headers }) => headers.authorization)).toEqual(["Bearer secret", "Bearer secret"]);
    pages[path] = { issuer: origin, jwks_uri: `${other.origin}/keys` };
    await expect(load({ issuer: origin, tokenFile })).rejects.toThrow("another host than the issuer");
    expect(other.seen).toEqual([]);
    expect(await load({ issuer: origin })).toEqual(set);
    expect(other.seen[0]!.headers).not.toHaveProperty("authorization");
  });

  it("is given up where the key set does not come", async () => {
    const { origin, pages } = await serve({ "/keys": (() => {}) satisfies RequestListener });
    pages[path] = { issuer: origin, jwks_uri: `${origin}/keys` };
    await expect(load({ issuer: origin }, { limitMs: 300 })).rejects.toThrow("no key set within 300 ms");
  });
});

describe("a proxy", () => {
  /** A proxy by CONNECT; `asked` has where to. */
  async function startProxy() {
    const asked: string[] = [];
    const proxy = createHttpServer((request, response) => {
      asked.push(request.url!);
      response.writeHead(500).end();
    });
    proxy.on("connect", (request: IncomingMessage, client: Socket) => {
      asked.push(request.url!);
      const port = Number(new URL(`http://${request.url}`).port);
      const server = connect(port, "127.0.0.1", () => {
        client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        server.pipe(client).pipe(server);
      });
      for (const socket of [client, server]) socket.on("error", () => {});
    });
    return { asked, url: `http://127.0.0.1:${await listening(proxy)}` };
  }

  it("is used where the environment says so, and the server is still who it must be", async () => {
    const proxy = await startProxy();
    const { origin, port, seen } = await serve({ "/keys": set });
    const environment = { NODE_USE_ENV_PROXY: "1", HTTPS_PROXY: proxy.url };
    expect(await load({ at: `${origin}/keys` }, { environment })).toEqual(set);
    expect(proxy.asked).toEqual([`localhost:${port}`]);
    await expect(load({ at: `${origin}/keys`, ca: undefined }, { environment })).rejects.toThrow("self-signed");
    expect(seen).toHaveLength(1);
  });

  it("is not used without NODE_USE_ENV_PROXY, for NO_PROXY, and for http: to this machine", async () => {
    const proxy = await startProxy();
    const { origin } = await serve({ "/keys": set });
    const plain = await serve({ "/keys": set }, false);
    const variables = { HTTPS_PROXY: proxy.url, HTTP_PROXY: proxy.url };
    const use = { ...variables, NODE_USE_ENV_PROXY: "1" };
    expect(await load({ at: `${origin}/keys` }, { environment: variables })).toEqual(set);
    expect(await load({ at: `${origin}/keys` }, { environment: { ...use, NO_PROXY: "localhost" } })).toEqual(set);
    expect(await load({ at: `${plain.origin}/keys` }, { environment: use, plainLoopback: true })).toEqual(set);
    expect(proxy.asked).toEqual([]);
  });

  it.each(["", "HTTP/1.1 200 Connection Established\r\n\r\n"])(
    "that says %j and then nothing is given up, and its connection closed",
    async (answer) => {
      const { origin } = await serve({ "/keys": set });
      const silent = createHttpServer();
      silent.on("connect", (_: IncomingMessage, client: Socket) => {
        client.on("error", () => {}).on("end", () => client.end());
        client.resume().write(answer);
      });
      const environment = { NODE_USE_ENV_PROXY: "1", HTTPS_PROXY: `http://127.0.0.1:${await listening(silent)}` };
      await expect(load({ at: `${origin}/keys` }, { environment, limitMs: 200 })).rejects.toThrow("no key set within");
      await expect.poll(connections).toBe(0);
    },
  );
});
