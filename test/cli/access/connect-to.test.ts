/** `--connect-to`: connections go there, and the name and the certificate stay those of the address. */
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { expect, it, onTestFinished } from "vitest";
import { viaOf } from "../../../src/cli/access/connect-to.ts";
import { askByHttp } from "../../../src/cli/access/http-request.ts";
import { UsageError } from "../../../src/cli/command.ts";
import { clientEnvironment } from "../../../src/config/client-environment.ts";
import { newAuthority } from "../../support/pki.ts";

const authority = newAuthority({ name: "server" });

/** Answers with the name that TLS was asked for, and with Host. */
async function serving(names: { dns?: string[]; addresses?: string[] }) {
  const { chain, key } = authority.issue({ ...names, extendedKeyUsage: ["serverAuth"] });
  const server = createServer({ cert: chain, key }, ({ socket, headers }, response) => {
    response.end(`${(socket as TLSSocket & { servername: string | false }).servername} ${headers.host}`);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

const ask = (address: string, via: { host: string; port: number }) =>
  askByHttp(new URL(address), {
    method: "GET",
    headers: {},
    body: undefined,
    timeoutMs: 30_000,
    via,
    tls: { ca: authority.pem, certificate: undefined },
  });

it("names the address in TLS and in Host", async () => {
  const via = await serving({ dns: ["kms.example.org"] });
  const { text } = await ask("https://kms.example.org:8443/q/health", via);
  expect(text).toBe("kms.example.org kms.example.org:8443");
});

it("holds the certificate against the address, not against where it connects", async () => {
  const via = await serving({ dns: ["localhost"], addresses: ["127.0.0.1"] });
  const refused = { code: "ERR_TLS_CERT_ALTNAME_INVALID" };
  await expect(ask("https://kms.example.org/", via)).rejects.toMatchObject(refused);
  await expect(ask("https://10.1.2.3/", via)).rejects.toMatchObject(refused);
});

it("holds it against an address of numbers too", async () => {
  const via = await serving({ addresses: ["10.1.2.3"] });
  const { text } = await ask("https://10.1.2.3:8443/", via);
  expect(text).toBe("false 10.1.2.3:8443");
});

const from = (env: Record<string, string>, options = {}) => viaOf(options, clientEnvironment(env));

it("is that of the option, else of the variable", () => {
  const env = { FLUO_KMS_CONNECT_TO: "kms-0:8080" };
  expect(from({})).toBeUndefined();
  expect(from(env)).toEqual({ host: "kms-0", port: 8080 });
  expect(from(env, { "connect-to": "[2001:db8::7]:443" })).toEqual({ host: "2001:db8::7", port: 443 });
});

it.each(["kms-0", "kms-0:0", "kms-0:70000", "http://kms-0:8080", "2001:db8::7:443", ":8080"])("is not %s", (text) => {
  expect(() => from({}, { "connect-to": text })).toThrow(UsageError);
  expect(() => from({ FLUO_KMS_CONNECT_TO: text })).toThrow(/^FLUO_KMS_CONNECT_TO must be HOST:PORT/);
});
