/** A self-made certificate for localhost, of OpenSSL's command line, in a directory that is there as long as the test file. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  cert: Buffer;
  key: Buffer;
  /** PEM, of the certificate: its own authority. */
  file: string;
}

let made: Certificate | undefined;

/** One for each process that asks. */
export function localhostCertificate(): Certificate {
  made ??= make();
  return made;
}

/** False on a machine without OpenSSL. */
export function canMakeCertificate(): boolean {
  return spawnSync("openssl", ["version"]).status === 0;
}

function make(): Certificate {
  const directory = mkdtempSync(join(tmpdir(), "fluo-kms-certificate-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  const [file, keyFile] = [join(directory, "certificate.pem"), join(directory, "key.pem")];
  const { status, stderr } = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
    ...["-keyout", keyFile, "-out", file],
  ]);
  if (status !== 0) throw new Error(`openssl made no certificate: ${stderr}`);
  return { cert: readFileSync(file), key: readFileSync(keyFile), file };
}
