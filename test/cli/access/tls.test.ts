/** Files of TLS: what they must hold is said before a service is asked. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { clientEnvironment } from "../../../src/config/client-environment.ts";
import { UsageError } from "../../../src/cli/command.ts";
import { tlsFor } from "../../../src/cli/access/tls.ts";
import { directory } from "../../support/config-fixture.ts";
import { pkiFiles } from "../../support/pki-files.ts";

const pki = pkiFiles();
describe("the files of TLS", () => {
  const { ca, server, client, lockedKey } = pki;
  const from = (options: Record<string, string>, env: Record<string, string> = {}) =>
    tlsFor(options, clientEnvironment(env));
  const text = (file: string) => readFileSync(file, "utf8");
  const pairOf = ({ certificate, key }: typeof client) => ({ "client-cert": certificate, "client-key": key });

  it("are none where none is named", () => {
    expect(from({})).toEqual({ ca: undefined, certificate: undefined });
  });

  it("are those of the options, else of the variables", () => {
    const env = { FLUO_KMS_CACERT: ca, FLUO_KMS_CLIENT_CERT: client.certificate, FLUO_KMS_CLIENT_KEY: client.key };
    const shown = { cert: text(client.certificate), key: text(client.key) };
    expect(from({}, env)).toEqual({
      ca: text(ca),
      certificate: { ...shown, from: `FLUO_KMS_CLIENT_CERT ${client.certificate}` },
    });
    const wrong = { FLUO_KMS_CACERT: "/no", FLUO_KMS_CLIENT_CERT: "/no", FLUO_KMS_CLIENT_KEY: "/no" };
    expect(from({ "ca-cert": ca, ...pairOf(client) }, wrong)).toEqual({
      ca: text(ca),
      certificate: { ...shown, from: `--client-cert ${client.certificate}` },
    });
  });

  it("may hold several certificates", () => {
    const file = join(directory(), "bundle.pem");
    writeFileSync(file, `the authorities\n${text(ca)}\n${text(server.certificate)}`);
    expect(from({ "ca-cert": file }).ca).toBe(text(file));
  });

  it.each([
    [
      "a certificate without its key",
      { "client-cert": client.certificate },
      "--client-cert",
      "private key; give --client-key too",
    ],
    [
      "a key without its certificate",
      { "client-key": client.key },
      "--client-key",
      "certificate; give --client-cert too",
    ],
  ])("are refused: %s", (_, options, name, what) => {
    const [file] = Object.values(options);
    expect(() => from(options)).toThrow(new UsageError(`${name} ${file} needs its ${what}`));
  });

  it("are refused where the key does not fit the certificate", () => {
    const options = { ...pairOf(client), "client-key": server.key };
    expect(() => from(options)).toThrow(
      `--client-key ${server.key} does not fit the certificate in --client-cert ${client.certificate}; give a pair`,
    );
    const file = join(directory(), "chain.pem");
    writeFileSync(file, text(ca) + text(client.certificate));
    expect(() => from({ ...options, "client-cert": file, "client-key": client.key })).toThrow(
      "(the certificate must come first in its file, before its chain)",
    );
  });

  it.each([
    ["a key as authority", { "ca-cert": client.key }, "is no PEM file of certificates"],
    ["a key as certificate", { ...pairOf(client), "client-cert": client.key }, "is no PEM file of certificates"],
    [
      "a certificate as key",
      { ...pairOf(client), "client-key": client.certificate },
      "is no PEM file of a private key",
    ],
    ["a key under a passphrase", { ...pairOf(client), "client-key": lockedKey }, "a private key without a passphrase"],
    ["an authority that is not there", { "ca-cert": "/no/ca" }, "--ca-cert /no/ca cannot be read (ENOENT)"],
    [
      "a certificate that is not there",
      { ...pairOf(client), "client-cert": "/no" },
      "--client-cert /no cannot be read",
    ],
    ["a key that is not there", { ...pairOf(client), "client-key": "/no" }, "--client-key /no cannot be read (ENOENT)"],
  ])("are refused: %s", (_, options, what) => {
    expect(() => from(options)).toThrow(UsageError);
    expect(() => from(options)).toThrow(what);
  });

  it("are refused where one certificate of many cannot be read", () => {
    const file = join(directory(), "bundle.pem");
    writeFileSync(file, `${text(ca)}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`);
    expect(() => from({ "ca-cert": file })).toThrow(`--ca-cert ${file} is no PEM file of certificates`);
  });

  it("are told of where others can read the private key, and only that", () => {
    const spy = vi.spyOn(console, "error").mockImplementation(() => {});
    onTestFinished(() => spy.mockRestore());
    const cwd = directory();
    const [certificate, key] = [join(cwd, "client.pem"), join(cwd, "client.key")];
    for (const [file, of] of [
      [certificate, client.certificate],
      [key, client.key],
    ] as const) {
      writeFileSync(file, text(of));
      chmodSync(file, 0o644);
    }
    from({ "ca-cert": certificate, ...pairOf({ certificate, key }) });
    expect(spy.mock.calls).toEqual([[expect.stringMatching(/^fluo-kms: --client-key .* can be read by every user/)]]);
  });
});
