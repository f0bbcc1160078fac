/** A certificate for names that are a cloud's, by an authority that nobody else trusts, made by openssl; undefined where there is none. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  key: Buffer;
  cert: Buffer;
  /** PEM of the authority. */
  authority: string;
}

export function makeCertificate(names: readonly string[]): Certificate | undefined {
  const directory = mkdtempSync(join(tmpdir(), "fluo-kms-"));
  const file = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => spawnSync("openssl", args).status === 0;
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  writeFileSync(file("san"), `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")},IP:127.0.0.1\n`);
  try {
    const isMade =
      openssl("req", "-x509", ...ec, "-days", "2", "-subj", "/CN=ca", "-keyout", file("ca.key"), "-out", file("ca")) &&
      openssl("req", "-new", ...ec, "-subj", `/CN=${names[0]}`, "-keyout", file("key"), "-out", file("csr")) &&
      openssl(
        ...["x509", "-req", "-in", file("csr"), "-CA", file("ca"), "-CAkey", file("ca.key"), "-CAcreateserial"],
        ...["-days", "2", "-extfile", file("san"), "-out", file("cert")],
      );
    if (!isMade) return undefined;
    return {
      key: readFileSync(file("key")),
      cert: readFileSync(file("cert")),
      authority: readFileSync(file("ca"), "utf8"),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
