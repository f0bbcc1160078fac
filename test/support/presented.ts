/** What a TLS server of ours sees of a client's certificate, over a real connection on loopback. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import { type PresentedCertificate, presentedBy } from "../../src/auth/certificate/peer.ts";
import { newAuthority } from "./pki.ts";

/** The certificates in PEM that a client sends, and its key. */
export interface Client {
  chain: string;
  key: string;
}

export interface PresentedServer {
  presented(client?: Client): Promise<PresentedCertificate | undefined>;
  stop(): Promise<void>;
}

/** Asks for a certificate and takes any, as both ports do (TLS 1.3 alone). */
export async function startPresentedServer(trust: { ca: string[]; crl?: string[] }): Promise<PresentedServer> {
  const { certificate: cert, key } = newAuthority().issue({ dns: ["localhost"], extendedKeyUsage: ["serverAuth"] });
  const server = createServer({
    cert,
    key,
    ...trust,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: "TLSv1.3",
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    async presented(client) {
      const socket = connect({
        port,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        cert: client?.chain,
        key: client?.key,
      });
      const [accepted] = (await once(server, "secureConnection")) as [TLSSocket];
      try {
        return presentedBy(accepted);
      } finally {
        const closed = once(socket, "close");
        accepted.destroy();
        socket.resume().on("error", () => {});
        await closed;
      }
    },
    async stop() {
      server.close();
      await once(server, "close");
    },
  };
}
