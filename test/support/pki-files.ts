/** An authority, and certificates for both ends of TLS by it, as files that a command is given. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CertificateOptions, newAuthority } from "./pki.ts";

/** Paths of PEM files. */
export interface Pair {
  certificate: string;
  key: string;
}

export interface PkiFiles {
  /** Of the authority. */
  ca: string;
  /** For localhost and 127.0.0.1. */
  server: Pair;
  /** For kms.test alone. */
  named: Pair;
  /** Of the subject `client`. */
  client: Pair;
  /** The client's key under a passphrase. */
  lockedKey: string;
}

export function pkiFiles(): PkiFiles {
  const directory = mkdtempSync(join(tmpdir(), "fluo-kms-pki-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  const file = (name: string, pem: string | Buffer) => {
    writeFileSync(join(directory, name), pem, { mode: 0o600 });
    return join(directory, name);
  };
  const authority = newAuthority();
  const issued = (name: string, options: CertificateOptions) => {
    const { certificate, key, keys } = authority.issue(options);
    return { certificate: file(`${name}.pem`, certificate), key: file(`${name}.key`, key), keys };
  };
  const serverAuth = { extendedKeyUsage: ["serverAuth"] } as const;
  const client = issued("client", { name: "client" });
  const locked = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "hidden" } as const;
  return {
    ca: file("ca.pem", authority.pem),
    server: issued("server", { ...serverAuth, dns: ["localhost"], addresses: ["127.0.0.1"] }),
    named: issued("named", { ...serverAuth, dns: ["kms.test"] }),
    client,
    lockedKey: file("locked.key", client.keys.privateKey.export(locked)),
  };
}
