/** The connection to Vault or OpenBao: its address, the authority that it is known by, and the headers of a request. */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { invalidField, KmsError } from "../../errors.ts";
import { connectHttp, type HttpConnection, type HttpRequest } from "../http.ts";
import { trustCertificate } from "./advice.ts";
import type { VaultSettings } from "./settings.ts";

export interface VaultRequest extends Omit<HttpRequest, "headers"> {
  token?: string;
}

export type VaultConnection = HttpConnection<VaultRequest>;

const maxSockets = 64;
const maxAnswerBytes = 1 << 20;

/** Throws INVALID_ARGUMENT for an address or a CA file that cannot be used. */
export async function connectVault({
  addr,
  caFile,
  namespace,
}: Pick<VaultSettings, "addr" | "caFile" | "namespace">): Promise<VaultConnection> {
  const base = baseUrl(addr);
  const ca = caFile === undefined ? undefined : await readCa(caFile);
  const server = { who: "provider vault", trustCertificate };
  const connection = connectHttp({ ...server, base, ca, maxSockets, maxAnswerBytes });
  return {
    ...connection,
    send({ token, ...request }, signal) {
      const headers = {
        "x-vault-request": "true",
        ...(namespace !== undefined && { "x-vault-namespace": namespace }),
        ...(token !== undefined && { "x-vault-token": token }),
      };
      return connection.send({ ...request, headers }, signal);
    },
  };
}

/** PROVIDER_UNAVAILABLE at the end of a time that is not a caller's. */
export function lateAnswer(): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", "provider vault did not answer in time");
}

function baseUrl(addr: string): URL {
  const url = URL.parse(addr);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw invalidField("vault.addr", "must be a URL, as in https://vault.example.com:8200");
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw invalidField("vault.addr", "must hold no user, password, query or fragment");
  }
  return url;
}

async function readCa(path: string): Promise<Buffer> {
  let pem: Buffer;
  try {
    pem = await readFile(path);
  } catch (error) {
    throw invalidField("vault.cacert", `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    new X509Certificate(pem);
  } catch {
    throw invalidField("vault.cacert", `${path} holds no certificate in PEM`);
  }
  return pem;
}
