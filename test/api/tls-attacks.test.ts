/** Connections that are not what the service speaks: older TLS, plain text, other protocols, and sessions to go on with. */
import { once } from "node:events";
import { connect as tcpConnect, type Socket } from "node:net";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import { fromNow } from "../support/from-now.ts";
import { newAuthority } from "../support/pki.ts";
import { accepted, certificateExpired, certificateRefused } from "../support/told.ts";

const mesh = newAuthority({ name: "mesh" });
const issued = mesh.issue({ uris: ["spiffe://example.org/ingest"] });
const ports = ["grpcPort", "httpPort"] as const;
const protocols = { grpcPort: "h2", httpPort: "http/1.1" };

let service: AttackedWorld;
beforeAll(async () => {
  service = await startAttacked({
    more: "certificates:\n  - { name: mesh, trust-domain: example.org, ca: mesh.pem }\n",
    files: { "mesh.pem": mesh.pem },
    rules: `  - { name: ingest, who: { spiffe: "spiffe://example.org/ingest" }, roles: [sign], tenants: [acme] }\n`,
  });
});
afterAll(() => service.stop());

type Port = (typeof ports)[number];

function socketTo(port: Port, options: ConnectionOptions = {}): TLSSocket {
  const to = { port: service[port], host: "localhost", ca: service.serverCa };
  return connect({ ...to, ALPNProtocols: [protocols[port]], ...options });
}

/** What an open socket gets before the other side closes it. */
async function answerOn(socket: Socket, sent: string): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => {});
  socket.write(sent);
  await new Promise((resolve) => socket.on("close", resolve));
  return Buffer.concat(chunks).toString("latin1");
}

const get = "GET /q/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

describe.each(ports)("attack 41: on %s", (port) => {
  it("TLS 1.2 is refused by an alert, before and after a reload; TLS 1.3 is spoken", async () => {
    for (const reload of [false, true]) {
      if (reload) await service.write({ ...service.newServerFiles(), "mesh.pem": `${mesh.pem}\n` });
      const old = socketTo(port, { maxVersion: "TLSv1.2" });
      await expect(once(old, "secureConnect")).rejects.toMatchObject({ code: "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION" });
      const good = socketTo(port);
      await once(good, "secureConnect");
      expect([good.getProtocol(), good.alpnProtocol]).toEqual(["TLSv1.3", protocols[port]]);
      good.destroy();
    }
  });

  it("plain text is closed without an answer", async () => {
    for (const sent of [get, preface, "\0".repeat(100)]) {
      const socket = tcpConnect(service[port], "localhost");
      const answer = Buffer.from(await answerOn(socket, sent), "latin1");
      const alert = 0x15; // of TLS, at most
      expect(answer.length === 0 || (answer.length === 7 && answer[0] === alert)).toBe(true);
    }
  });

  it("another protocol is refused in the handshake", async () => {
    const others = { grpcPort: ["http/1.1", "h3", "grpc-exp"], httpPort: ["h2", "h3"] };
    for (const ALPNProtocols of others[port].map((each) => [each])) {
      const socket = socketTo(port, { ALPNProtocols });
      await expect(once(socket, "secureConnect")).rejects.toMatchObject({
        code: "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
      });
    }
  });
});

it("attack 41: a client of gRPC that names no protocol is closed without a word", async () => {
  for (const sent of [get, preface]) {
    const socket = socketTo("grpcPort", { ALPNProtocols: undefined });
    await once(socket, "secureConnect");
    expect(socket.alpnProtocol).toBe(false);
    expect(await answerOn(socket, sent)).toBe("");
  }
  // HTTP/1.1 needs no name.
  const http = socketTo("httpPort", { ALPNProtocols: undefined });
  await once(http, "secureConnect");
  expect(await answerOn(http, get)).toMatch(/^HTTP\/1\.1 200 /);
});

describe.each(ports)("attack 40: a session of %s", (port) => {
  /** How many of some sessions another connection goes on with. */
  async function resumed(sessions: readonly Buffer[], { chain, key } = issued): Promise<number> {
    let count = 0;
    for (const session of sessions) {
      const socket = socketTo(port, { session, cert: chain, key });
      await once(socket, "secureConnect");
      if (socket.isSessionReused()) count += 1;
      socket.destroy();
    }
    return count;
  }

  /** What a connection that has been used offers to go on with: OpenSSL names sessions also where it gives no tickets. */
  async function sessionsOf(): Promise<Buffer[]> {
    const sessions: Buffer[] = [];
    const socket = socketTo(port, { cert: issued.chain, key: issued.key });
    socket.on("session", (session) => sessions.push(session));
    await once(socket, "secureConnect");
    socket.write(port === "httpPort" ? get : preface);
    await once(socket, "data");
    sessions.push(socket.getSession()!);
    socket.destroy();
    return sessions;
  }

  it("is never gone on with: before and after a reload the handshake is whole", async () => {
    const sessions = await sessionsOf();
    expect(await resumed(sessions)).toBe(0);
    expect(await service.ask({ certificate: issued })).toEqual(accepted);
    await service.write({ "mesh.pem": newAuthority({ name: "mesh" }).pem });
    expect(await resumed(sessions)).toBe(0);
    expect(await service.ask({ certificate: issued })).toEqual(certificateRefused);
    await service.write({ "mesh.pem": mesh.pem });
    expect(await resumed([...sessions, ...(await sessionsOf())])).toBe(0);
    expect(await service.ask({ certificate: issued })).toEqual(accepted);
  });

  it("is none to go on with behind the end of its certificate", async () => {
    const past = mesh.issue({ uris: ["spiffe://example.org/ingest"], until: fromNow(-1_000) });
    expect(await resumed(await sessionsOf(), past)).toBe(0);
    expect(await service.ask({ certificate: past })).toEqual(certificateExpired);
  });
});
