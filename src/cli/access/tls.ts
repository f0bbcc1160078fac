/** What a command shows in TLS, and whom it believes. Files are looked at before they are used: what TLS says of them helps nobody. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { ClientEnvironment } from "../../config/client-environment.ts";
import { type Option, type OptionValues, textOf, UsageError } from "../command.ts";
import { fileNamed, type Named, nameOf, readShown } from "./named-files.ts";

/** PEM texts. */
export interface ServiceTls {
  /** Authorities besides those that are believed anyway. */
  ca: string | undefined;
  certificate: ClientCertificate | undefined;
}

export interface ClientCertificate {
  cert: string;
  key: string;
  /** Where it was found, for messages. */
  from: string;
}

export const tlsOptions: readonly Option[] = [
  {
    name: "ca-cert",
    value: "FILE",
    description: "PEM file of authorities for the service's certificate, besides the system's",
  },
  { name: "client-cert", value: "FILE", description: "PEM file of the certificate to show, with its chain" },
  { name: "client-key", value: "FILE", description: "PEM file of its private key, without a passphrase" },
];

/** Reads the files as they are now. Throws UsageError if one cannot be used. */
export function tlsFor(options: OptionValues, env: ClientEnvironment): ServiceTls {
  const ca = fileNamed(["ca-cert", textOf(options, "ca-cert")], ["FLUO_KMS_CACERT", env.caFile]);
  return { ca: ca && certificatesIn(ca), certificate: clientCertificate(options, env) };
}

function clientCertificate(options: OptionValues, env: ClientEnvironment): ClientCertificate | undefined {
  const cert = fileNamed(
    ["client-cert", textOf(options, "client-cert")],
    ["FLUO_KMS_CLIENT_CERT", env.certificateFile],
  );
  const key = fileNamed(["client-key", textOf(options, "client-key")], ["FLUO_KMS_CLIENT_KEY", env.keyFile]);
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined) throw new UsageError(`${nameOf(key!)} needs its certificate; give --client-cert too`);
  if (key === undefined) throw new UsageError(`${nameOf(cert)} needs its private key; give --client-key too`);
  const certificate = certificatesIn(cert);
  const keyText = readShown(key, { isSecret: true });
  if (!new X509Certificate(certificate).checkPrivateKey(privateKeyIn(keyText, key))) {
    const order = "the certificate must come first in its file, before its chain";
    throw new UsageError(`${nameOf(key)} does not fit the certificate in ${nameOf(cert)}; give a pair (${order})`);
  }
  return { cert: certificate, key: keyText, from: nameOf(cert) };
}

/** The text, in which every certificate can be read, and is at least one: TLS leaves out without a word what it cannot read. */
function certificatesIn(named: Named): string {
  const text = readShown(named, { isSecret: false });
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (found.length > 0 && found.every(isCertificate)) return text;
  throw new UsageError(`${nameOf(named)} is no PEM file of certificates; give one with BEGIN CERTIFICATE in it`);
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}

function privateKeyIn(text: string, named: Named) {
  try {
    return createPrivateKey(text);
  } catch {
    throw new UsageError(`${nameOf(named)} is no PEM file of a private key without a passphrase`);
  }
}
