/** Limits of connections on a real service with TLS under a policy: who is a caller by a certificate, and what is told of them. */
import { once } from "node:events";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { newStaticToken } from "../../src/auth/token/static-token.ts";
import type { ConnectionSettings } from "../../src/limits/connection-settings.ts";
import { connectionLimits } from "../../src/limits/log.ts";
import { captureLog, type CapturedLog } from "../support/captured-log.ts";
import { eventually } from "../support/eventually.ts";
import { stall } from "../support/stall.ts";
import { newAuthority } from "../support/pki.ts";
import { frame } from "../support/raw-stream.ts";
import { type ClientCertificate, startService, type TlsService } from "../support/running-service.ts";

const mesh = newAuthority({ name: "mesh" });
const certificateOf = (id: string): ClientCertificate =>
  mesh.issue({ uris: [`spiffe://example.org/${id}`], extendedKeyUsage: ["clientAuth"] });
const { token, sha256 } = newStaticToken();
const policy = `version: 1
certificates:
  - { name: mesh, trust-domain: example.org, ca: mesh.pem }
tokens:
  - { name: ops, sha256: "${sha256}", expires: 2099-01-01 }
rules:
  - { name: granted, who: { spiffe: "spiffe://example.org/granted" }, roles: [sign], tenants: "*" }
  - { name: ops, who: { token: ops }, roles: [status, metrics], tenants: "*" }
`;

const start = (properties: Record<string, string>, bounds: Partial<ConnectionSettings> = {}) =>
  startService(
    { "fluo.kms.http.client-certificates": "true", ...properties },
    { files: { "policy.yaml": policy, "mesh.pem": mesh.pem }, bounds, tls: true },
  );

type Sample = Readonly<Record<string, number>>;

/** Values of a metric, by the text of its labels without those of the service. */
async function metric(of: TlsService, name: string): Promise<Sample> {
  const { body, status } = await of.http("/q/metrics", { headers: { authorization: `Bearer ${token}` } });
  expect(status).toBe(200);
  const found: Record<string, number> = {};
  for (const line of body.split("\n")) {
    const [, labels = "", value] = new RegExp(`^${name}(?:\\{([^}]*)\\})? (\\S+)`).exec(line) ?? [];
    if (value === undefined) continue;
    const own = labels.split(",").filter((label) => !label.startsWith("otel_"));
    found[own.join(" ").replaceAll('"', "")] = Number(value);
  }
  return found;
}

async function session(of: TlsService, certificate?: ClientCertificate): Promise<ClientHttp2Session> {
  const shown = certificate && { cert: certificate.chain, key: certificate.key };
  const made = connect(`https://localhost:${of.grpcPort}`, { ca: of.serverCa, ...shown }).on("error", () => {});
  onTestFinished(() => made.destroy());
  await once(made, "remoteSettings");
  return made;
}

async function watch(made: ClientHttp2Session) {
  const stream = made.request({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Watch",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {}).end(frame(new Uint8Array()));
  await once(stream, "data");
  return stream;
}

async function httpConnection(of: TlsService, certificate?: ClientCertificate): Promise<TLSSocket> {
  const shown = certificate && { cert: certificate.chain, key: certificate.key };
  const socket = connectTls({ host: "localhost", port: of.httpPort, ca: of.serverCa, ...shown });
  socket.on("error", () => {}).resume();
  onTestFinished(() => void socket.destroy());
  await once(socket, "secureConnect");
  return socket;
}

/** A connection that says nothing. */
function knock(of: TlsService): void {
  const socket = connectTcp({ host: "127.0.0.1", port: of.httpPort }).on("error", () => {});
  onTestFinished(() => void socket.destroy());
}

describe("a service that does nothing yet", () => {
  let service: TlsService;
  beforeAll(async () => {
    service = await start({});
  });
  afterAll(() => service.stop());

  const becomes = (name: string, labels: string, wanted: (value: number | undefined) => boolean) =>
    eventually(async () => {
      const sample = await metric(service, name);
      if (!wanted(sample[labels])) throw new Error(JSON.stringify(sample));
    });

  it("has all metrics of connections, at 0 where nothing was", async () => {
    expect(await metric(service, "kms_connections_closed_total")).toEqual(
      Object.fromEntries(connectionLimits.map((limit) => [`limit=${limit}`, 0])),
    );
    expect(await metric(service, "kms_stream_resets_total")).toEqual({ "": 0 });
    const open = await metric(service, "kms_connections");
    expect(Object.keys(open).sort()).toEqual(
      ["grpc", "http"].flatMap((port) => ["caller", "stranger"].map((who) => `protocol=${port} state=${who}`)),
    );
    expect(open).toMatchObject({ "protocol=grpc state=caller": 0, "protocol=grpc state=stranger": 0 });
    const lag = await metric(service, "nodejs_eventloop_lag_seconds");
    expect(Object.keys(lag)).toEqual(["percentile=50", "percentile=99", "percentile=100"]);
    for (const seconds of Object.values(lag)) expect(seconds).toBeGreaterThanOrEqual(0);
  });

  it("takes an accepted certificate with a grant for a caller at the handshake of gRPC, and no other", async () => {
    const granted = await session(service, certificateOf("granted"));
    await becomes("kms_connections", "protocol=grpc state=caller", (count) => count === 1);
    const other = await session(service, certificateOf("other"));
    const foreign = await session(service, newAuthority({ name: "foreign" }).issue());
    await becomes("kms_connections", "protocol=grpc state=stranger", (count) => count === 2);
    await becomes("kms_connections", "protocol=grpc state=caller", (count) => count === 1);
    for (const each of [granted, other, foreign]) each.destroy();
    await becomes("kms_connections", "protocol=grpc state=caller", (count) => count === 0);
    await becomes("kms_connections", "protocol=grpc state=stranger", (count) => count === 0);
  });

  it("and at that of HTTP", async () => {
    const before = (await metric(service, "kms_connections"))["protocol=http state=caller"]!;
    const granted = await httpConnection(service, certificateOf("granted"));
    await httpConnection(service, certificateOf("other"));
    await becomes("kms_connections", "protocol=http state=caller", (count) => count === before + 1);
    await becomes("kms_connections", "protocol=http state=stranger", (count) => count === 1);
    granted.destroy();
    await becomes("kms_connections", "protocol=http state=caller", (count) => count === before);
  });

  it("counts streams that clients reset", async () => {
    const before = (await metric(service, "kms_stream_resets_total"))[""]!;
    const made = await session(service);
    for (let n = 0; n < 3; n += 1) (await watch(made)).close(constants.NGHTTP2_CANCEL);
    await becomes("kms_stream_resets_total", "", (count) => count === before + 3);
  });

  it("tells of a stall of the loop", async () => {
    stall(300);
    await becomes("nodejs_eventloop_lag_seconds", "percentile=100", (seconds) => seconds! >= 0.2);
  });
});

describe("limits that close connections", () => {
  let service: TlsService;
  let log: CapturedLog;
  beforeAll(async () => {
    log = captureLog();
    service = await start(
      { "fluo.kms.log.level": "warn", "fluo.kms.connection.max": "8", "fluo.kms.connection.idle": "1s" },
      { firstCallMs: 1_000 },
    );
  });
  afterAll(async () => {
    await service.stop();
    log.restore();
  });

  const closedBy = async (limit: string, of = service) =>
    (await metric(of, "kms_connections_closed_total"))[`limit=${limit}`]!;
  const lines = () =>
    log
      .text()
      .split("\n")
      .filter((line) => line.includes("a limit acted"))
      .map((line) => JSON.parse(line) as { time: string; limit: string; who: string[]; times: number });

  it("are counted, and told by one line for all that come in 10 s", async () => {
    await eventually(async () => {
      for (let n = 0; n < 4; n += 1) knock(service);
      // This asks by a connection that may have to make way itself.
      expect(await closedBy("max")).toBeGreaterThanOrEqual(2);
    });
    const told = lines().filter(({ limit }) => limit === "max");
    expect(told.length).toBeGreaterThanOrEqual(1);
    const at = told.map(({ time }) => Date.parse(time));
    for (const [n, ms] of at.slice(1).entries()) expect(ms - at[n]!).toBeGreaterThan(9_900);
    expect(told[0]).toMatchObject({ times: 1, who: ["127.0.0.1 (1)"] });
  });

  it("tell nothing of connections that said nothing for too long", async () => {
    await session(service);
    const caller = await session(service, certificateOf("granted"));
    await eventually(async () => {
      expect(await closedBy("first_call")).toBeGreaterThanOrEqual(1);
      expect(await closedBy("idle")).toBeGreaterThanOrEqual(1);
    });
    expect(caller.closed || caller.destroyed).toBe(true);
    expect(lines().map(({ limit }) => limit)).not.toContain("idle");
    expect(lines().map(({ limit }) => limit)).not.toContain("first_call");
  });

  it("tell of resets with the network", async () => {
    const other = await start({ "fluo.kms.log.level": "warn" }, { resetsPerSecond: 1 });
    onTestFinished(() => other.stop());
    const made = await session(other, certificateOf("granted"));
    const closed = new Promise<"closed">((resolve) => made.once("close", () => resolve("closed")));
    // What is reset slowly is forgotten again.
    for (let state: unknown; state !== "closed"; ) {
      const reset = watch(made).then(
        (stream) => stream.close(constants.NGHTTP2_CANCEL),
        () => closed, // its connection has ended
      );
      state = await Promise.race([closed, reset]);
    }
    await eventually(async () => expect(await closedBy("resets", other)).toBe(1));
    expect(lines().filter(({ limit }) => limit === "resets")).toMatchObject([{ who: ["127.0.0.1 (1)"], times: 1 }]);
  });
});
