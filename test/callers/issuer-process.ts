/**
 * An issuer of tokens as a process of its own: oidc-provider over HTTPS, with client credentials and resource indicators (RFC 8707). Its
 * argument is JSON; it says on which address it listens, and ends with its standard input.
 */
import { createRequire } from "node:module";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export interface IssuerOptions {
  /** 0 for a free one. */
  port: number;
  /** PEM. */
  certificate: string;
  key: string;
  /** Private keys, the one that signs first. */
  jwks: object[];
  client: { id: string; secret: string };
}

const modules = join(import.meta.dirname, "..", "..", "tools", "callers-npm", "package.json");
const { default: Provider } = await import(pathToFileURL(createRequire(modules).resolve("oidc-provider")).href);

const { port, certificate, key, jwks, client }: IssuerOptions = JSON.parse(process.argv[2]!);
const server = createServer({ cert: certificate, key });
server.listen(port, "127.0.0.1", () => {
  const address = `https://localhost:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(address, {
    jwks: { keys: jwks },
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: "ES256",
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "urn:fluo-kms",
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          scope: "kms",
          audience: resource.replace("urn:", ""),
          accessTokenTTL: 600,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
  });
  server.on("request", provider.callback());
  console.log(address);
});
process.stdin.resume().once("end", () => process.exit());
