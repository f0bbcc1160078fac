/** Commands against services on loopback, with and without TLS: what they show, whom they believe, and what they say of refusals. */
import { once } from "node:events";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { adviceOn, noCredentials } from "../../../src/cli/access/credentials.ts";
import { resultOf, run, start } from "../../support/cli-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { pkiFiles, type Pair } from "../../support/pki-files.ts";
import { startProxy } from "../../support/proxy.ts";

const status = { status: "operational", provider: "local" };
const page = (nextPageToken = "") => ({ provider: "local", providerKeyId: "a", rewrapped: 1, nextPageToken });

interface Asked {
  path: string;
  authorization: string | undefined;
  /** The common name of the client's certificate. */
  certificate: string | undefined;
}

interface Serving {
  tls?: Pair;
  status?: number;
  headers?: Record<string, string>;
  /** What is answered, in turn; the last again and again. */
  answers?: readonly unknown[];
  /** Called before each answer. */
  before?: (asked: Asked) => void;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A service that keeps what it was shown. */
async function serve({ tls, status: code = 200, headers = {}, answers = [status], before }: Serving = {}) {
  const received: Asked[] = [];
  const answer: RequestListener = async (request: IncomingMessage, response) => {
    await text(request);
    const certificate = tls && (request.socket as TLSSocket).getPeerCertificate().subject?.CN?.toString();
    const asked = { path: request.url!, authorization: request.headers.authorization, certificate };
    received.push(asked);
    before?.(asked);
    const body = answers[Math.min(received.length, answers.length) - 1];
    response.writeHead(code, { "content-type": "application/json", ...headers }).end(`${JSON.stringify(body)}\n`);
  };
  const files = tls && { cert: readFileSync(tls.certificate), key: readFileSync(tls.key) };
  const server = files
    ? createTlsServer({ ...files, requestCert: true, rejectUnauthorized: false }, answer)
    : createServer(answer);
  const port = await listen(server);
  return { port, received, address: `${tls ? "https" : "http"}://localhost:${port}` };
}

function tokenFile(content = "fkt_canary"): string {
  const file = join(directory(), "token");
  writeFileSync(file, content);
  chmodSync(file, 0o600);
  return file;
}

const shownIn = (received: readonly Asked[]) => received.map(({ authorization }) => authorization);

describe("a token", () => {
  it("goes with the request, from a file, by option and by variable", async () => {
    const { address, received } = await serve();
    const file = tokenFile();
    expect((await run(["status", "--address", address, "--token-file", file])).code).toBe(0);
    const env = { FLUO_KMS_ADDR: address, FLUO_KMS_TOKEN_FILE: file };
    expect((await run(["status"], { env })).code).toBe(0);
    expect(shownIn(received)).toEqual(["Bearer fkt_canary", "Bearer fkt_canary"]);
  });

  it("is none where none is named, be there one of Vault", async () => {
    const { address, received } = await serve();
    await run(["status", "--address", address], { env: { VAULT_TOKEN: "hvs.canary" } });
    expect(shownIn(received)).toEqual([undefined]);
  });

  it("is read at each call", async () => {
    const file = tokenFile("fkt_first");
    const before = () => writeFileSync(file, "fkt_second");
    const { address, received } = await serve({ answers: [page("2"), page("")], before });
    expect((await run(["rewrap", "--address", address, "--token-file", file])).code).toBe(0);
    expect(shownIn(received).slice(0, 2)).toEqual(["Bearer fkt_first", "Bearer fkt_second"]);
  });

  it("is read once from standard input, for all calls", async () => {
    const { address, received } = await serve({ answers: [page("2"), page("")] });
    const child = start(["rewrap", "--address", address, "--token-file", "-"]);
    child.stdin!.end("fkt_piped\n");
    expect((await resultOf(child)).code).toBe(0);
    expect(new Set(shownIn(received))).toEqual(new Set(["Bearer fkt_piped"]));
    expect(received.length).toBeGreaterThan(1);
  });

  it("is not sent in the clear to another machine, and nobody is asked for its name", async () => {
    const { code, err } = await run(["status", "--address", "http://kms.invalid:8080", "--token-file", tokenFile()]);
    expect({ code, err }).toEqual({
      code: 2,
      err: "fluo-kms: a token is not sent to http://kms.invalid:8080, where others could read it on its way; use https://\nfluo-kms --help tells more.\n",
    });
  });

  it.each([301, 302, 303, 307, 308])("does not follow a redirect with status %d", async (code) => {
    const other = await serve();
    const { address, received } = await serve({ status: code, headers: { location: `${other.address}/there` } });
    const result = await run(["status", "--address", address, "--token-file", tokenFile()]);
    expect(result).toEqual({
      code: 1,
      out: "",
      err: `fluo-kms: ${address} redirects to ${other.address}/there; no redirect is followed, as what the service is shown would go there too: name the service itself with --address\n`,
    });
    expect([received.length, other.received]).toEqual([1, []]);
  });

  it("is on no line that a command prints", async () => {
    const { address } = await serve({ status: 401, answers: [refused("the token is not accepted")] });
    const { out, err } = await run(["status", "--json", "--address", address, "--token-file", tokenFile()]);
    expect(out + err).not.toContain("canary");
  });
});

const refused = (message: string, code = "UNAUTHENTICATED") => ({ code, message, fields: [] });

describe("a refusal of the caller says what to do", () => {
  it.each([
    [
      "no credential",
      401,
      /; give a token by --token-file, or a certificate by --client-cert and --client-key over https:\/\/$/,
    ],
    [
      "the token is not accepted",
      401,
      /; it is that of --token-file \S+; the service's log says why, and fluo-kms policy explain /,
    ],
    ["the token has expired", 401, /; put a new one where it was found: --token-file \S+$/],
    [
      "this client certificate counts only with a token",
      401,
      /; a rule of the policy demands it, so give a token by --token-file beside no --client-cert$/,
    ],
    ["no rule names this caller", 403, /; fluo-kms whoami says who that is: the policy needs a rule for it$/],
    [
      "the caller may not operate for all tenants",
      403,
      /; it lacks the role operate for all tenants; fluo-kms whoami says what it has, and fluo-kms policy explain why$/,
    ],
    ["the caller may not status for this tenant", 403, /; it lacks the role status for this tenant; fluo-kms whoami /],
    ["the issuer's keys cannot be had now", 503, /; the service cannot reach the token's issuer; its log says why$/],
  ])("%s", async (message, code, advice) => {
    const { address } = await serve({ status: code, answers: [refused(message)] });
    const token = message === "no credential" ? [] : ["--token-file", tokenFile()];
    const result = await run(["status", "--address", address, ...token]);
    expect([result.code, result.out]).toEqual([1, ""]);
    expect(result.err.startsWith(`fluo-kms: UNAUTHENTICATED: ${message}; `)).toBe(true);
    expect(result.err.trimEnd()).toMatch(advice);
    expect(result.err.split("\n")).toHaveLength(2);
  });

  it("and gives the service's own words as JSON", async () => {
    const { address } = await serve({ status: 401, answers: [refused("no credential")] });
    const { code, out } = await run(["status", "--json", "--address", address]);
    expect([code, JSON.parse(out)]).toEqual([1, refused("no credential")]);
  });

  it("and nothing more where it is another", async () => {
    const { address } = await serve({
      status: 403,
      answers: [refused("the caller may not pass", "PERMISSION_DENIED")],
    });
    const { err } = await run(["status", "--address", address]);
    expect(err).toBe("fluo-kms: PERMISSION_DENIED: the caller may not pass\n");
  });

  it.each([
    "the caller may not operate for all tenants, nor here",
    "here the caller may not operate for all tenants",
    "the caller may not operate",
    "constructor",
  ])("and nothing of what only looks alike: %s", (message) => {
    expect(adviceOn(message, noCredentials())).toBeUndefined();
  });

  it("and of no credential that was not shown", () => {
    expect(adviceOn("the token has expired", noCredentials())).toBe(
      "put a new one where it was found: no --token-file",
    );
  });
});

const pki = pkiFiles();
const shown = ["--client-cert", pki.client.certificate, "--client-key", pki.client.key];
const ca = ["--ca-cert", pki.ca];

describe("TLS", () => {
  it("believes an authority by option and by variable, and shows no certificate of its own accord", async () => {
    const { address, received } = await serve({ tls: pki.server });
    expect((await run(["status", "--address", address, ...ca])).code).toBe(0);
    const env = { FLUO_KMS_CACERT: pki.ca };
    expect((await run(["status", "--address", address, "--token-file", tokenFile()], { env })).code).toBe(0);
    expect(received).toMatchObject([
      { certificate: undefined, authorization: undefined },
      { certificate: undefined, authorization: "Bearer fkt_canary" },
    ]);
  });

  it("shows a certificate by option and by variable", async () => {
    const { address, received } = await serve({ tls: pki.server });
    expect((await run(["status", "--address", address, ...ca, ...shown])).code).toBe(0);
    const env = {
      FLUO_KMS_ADDR: address,
      FLUO_KMS_CACERT: pki.ca,
      FLUO_KMS_CLIENT_CERT: pki.client.certificate,
      FLUO_KMS_CLIENT_KEY: pki.client.key,
    };
    expect((await run(["status"], { env })).code).toBe(0);
    expect(received.map(({ certificate }) => certificate)).toEqual(["client", "client"]);
  });

  it("is not spoken with a service by an authority that nobody named, which gets no token", async () => {
    const { address, received } = await serve({ tls: pki.server });
    const { code, err } = await run(["status", "--address", address, "--token-file", tokenFile()]);
    expect(code).toBe(1);
    expect(err).toMatch(
      /^fluo-kms: the certificate of https:\/\/localhost:\d+ is not trusted \(\w+\); name its authority's PEM file with --ca-cert, or in NODE_EXTRA_CA_CERTS\n$/,
    );
    expect(received).toEqual([]);
  });

  it("is not spoken with a service of another name, which gets no token", async () => {
    const { address, received } = await serve({ tls: pki.named });
    const { code, err } = await run(["status", "--address", address, ...ca, "--token-file", tokenFile()]);
    expect(code).toBe(1);
    expect(err).toMatch(
      /^fluo-kms: the certificate of https:\/\/localhost:\d+ is not trusted \(Hostname\/IP does not match .*DNS:kms\.test\); name the service with --address as its certificate does\n$/,
    );
    expect(received).toEqual([]);
  });

  it.each([
    ["a service without it", undefined, "https", "with"],
    ["a service with it, asked without it", pki.server, "http", "without"],
  ])("is missing: %s", async (_, tls, scheme, how) => {
    const { port } = await serve(tls && { tls });
    const { code, err } = await run(["status", "--address", `${scheme}://localhost:${port}`]);
    expect(code).toBe(1);
    expect(err).toMatch(new RegExp(`^fluo-kms: no answer from .*; is it the service's HTTP port, ${how} TLS\\?\n$`));
  });

  it("is not begun with files that are wrong", async () => {
    const { address, received } = await serve({ tls: pki.server });
    const other = [...shown.slice(0, 3), pki.server.key];
    for (const [args, what] of [
      [other, /^fluo-kms: --client-key \S+ does not fit the certificate in --client-cert \S+; /],
      [["--ca-cert", "/no/ca"], /^fluo-kms: --ca-cert \/no\/ca cannot be read \(ENOENT\); /],
    ] as const) {
      const { code, err } = await run(["status", "--address", address, ...args]);
      expect(code).toBe(2);
      expect(err).toMatch(what);
    }
    expect(received).toEqual([]);
  });

  it.each([
    ["the client certificate is not accepted", /; it is that of --client-cert \S+; the service's log says why/],
    ["the client certificate has expired: connect again", /; put a new one where it was found: --client-cert \S+$/],
    [
      "no credential",
      /; the service asks for no certificate such as --client-cert \S+; its policy or its HTTP port has none/,
    ],
  ])("says what to do where the service says: %s", async (message, advice) => {
    const { address } = await serve({ tls: pki.server, status: 401, answers: [refused(message)] });
    const { err } = await run(["status", "--address", address, ...ca, ...shown]);
    expect(err.trimEnd()).toMatch(advice);
  });
});

describe("a proxy", () => {
  it("is gone through where Node is told to, by TLS with the service, which alone is shown what there is", async () => {
    const { port, received } = await serve({ tls: pki.named });
    const { asked, env } = await startProxy();
    const args = ["status", "--address", `https://kms.test:${port}`, ...ca, ...shown, "--token-file", tokenFile()];
    expect(await run(args, { env })).toMatchObject({ code: 0, err: "" });
    expect(asked).toEqual([`kms.test:${port}`]);
    expect(received).toMatchObject([{ authorization: "Bearer fkt_canary", certificate: "client" }]);
  });

  it("is not gone through where Node is not told to", async () => {
    const { port, received } = await serve({ tls: pki.named });
    const { asked, env } = await startProxy();
    const { code } = await run(["status", "--address", `https://kms.test:${port}`, ...ca], {
      env: { ...env, NODE_USE_ENV_PROXY: "" },
    });
    expect([code, asked, received]).toEqual([1, [], []]);
  });

  it("never sees a request to this machine, nor its token", async () => {
    const { asked, env } = await startProxy();
    for (const service of [await serve(), await serve({ tls: pki.server })]) {
      const args = ["status", "--address", service.address, ...ca, "--token-file", tokenFile()];
      expect((await run(args, { env })).code).toBe(0);
      expect(shownIn(service.received)).toEqual(["Bearer fkt_canary"]);
    }
    expect(asked).toEqual([]);
  });
});
