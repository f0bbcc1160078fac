/** An issuer of tokens on loopback, by HTTPS: what it publishes a test may change at any time, and each request to it is kept. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { newAuthority } from "./pki.ts";

export interface HttpsIssuer {
  /** `https://127.0.0.1:port`, its `iss`. */
  url: string;
  /** PEM of the authority of its certificate. */
  ca: string;
  /** What is published at `/jwks`. */
  keys: unknown[];
  /** Answers in place of the key set, where there is one. */
  answer: ((response: ServerResponse) => void) | undefined;
  /** Method and path of each request. */
  requests: string[];
  stop(): Promise<void>;
}

export async function startHttpsIssuer(...keys: unknown[]): Promise<HttpsIssuer> {
  const authority = newAuthority({ name: "issuer" });
  const { chain, key } = authority.issue({ addresses: ["127.0.0.1"], extendedKeyUsage: ["serverAuth"] });
  const server = createServer({ cert: chain, key }, ({ method, url }, response) => {
    issuer.requests.push(`${method} ${url}`);
    if (issuer.answer) issuer.answer(response);
    else response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: issuer.keys }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer: HttpsIssuer = {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ca: authority.pem,
    keys,
    answer: undefined,
    requests: [],
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return issuer;
}
