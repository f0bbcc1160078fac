/** What stops the gcp provider at start, in the words of its settings. */
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { gcpMetadata } from "google-auth-library";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import { openGcp } from "../../../src/provider/gcp/open.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { makeCertificate } from "../../fakes/certificates.ts";
import { thrownBy } from "../../support/matchers.ts";
import { open, startFake, useMetadataServer } from "../../support/gcp-fixture.ts";

useMetadataServer();
afterEach(() => {
  vi.useRealTimers();
});

describe("at start, refused is", () => {
  it.each([
    "fluo",
    "projects/p/locations/l/keyRings/r",
    "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
    "projects/p/locations/l/keyRings/r/cryptoKeys/k:decrypt?x=",
    "projects/p/locations/../keyRings/r/cryptoKeys/k",
  ])("a name that is no key's: %s", async (key) => {
    const settings = { name: "gcp", key, endpoint: "http://127.0.0.1:9", credentialsFile: undefined } as const;
    expect(await thrownBy(() => openGcp(settings, realTime))).toBeKmsError("INVALID_ARGUMENT", "gcp.kms.key");
  });

  it.each(["cloudkms.googleapis.com", "ftp://127.0.0.1", "https://a:hunter2@b", "https://a/v1", "https://a/?b"])(
    "an endpoint that is none: %s",
    async (endpoint) => {
      const kms = await startFake();
      const error = (await thrownBy(() => open(kms, kms.createKey(), { endpoint }))) as KmsError;
      expect(error).toBeKmsError("INVALID_ARGUMENT", "gcp.kms.endpoint");
      expect(error.message).not.toContain("hunter2");
      expect(kms.calls).toEqual([]);
    },
  );

  it.each(["ASYMMETRIC_SIGN", "ASYMMETRIC_DECRYPT", "RAW_ENCRYPT_DECRYPT", "MAC"])(
    "a key of another purpose: %s",
    async (purpose) => {
      const kms = await startFake();
      const error = await thrownBy(() => open(kms, kms.createKey({ purpose, primary: undefined })));
      expect(error).toBeKmsError("INVALID_ARGUMENT", "gcp.kms.key");
      expect(error).toBeKmsError("INVALID_ARGUMENT", purpose);
      await kms.left();
    },
  );

  it("a key that is not there, or not to be seen, with the command", async () => {
    const kms = await startFake();
    const key = kms.createKey();
    const missing = { ...key, name: key.name.replace("fluo", "none") };
    const error = (await thrownBy(() => open(kms, missing))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_DENIED", "has no such key");
    expect(error.advice).toContain(`Check gcp.kms.key (${missing.name})`);
    kms.denied.add("cloudkms.cryptoKeys.get");
    const denied = (await thrownBy(() => open(kms, key))) as KmsError;
    expect(denied).toBeKmsError("PROVIDER_DENIED", "denies access to its key, or there is none");
    expect(denied.advice).toContain("--role=roles/cloudkms.viewer");
  });

  it.each([
    ["by the key", /^\/v1\//, false],
    ["by the source of tokens", /default\/token/, false],
    ["by the source of tokens on Google's own machines, where the library has no deadline", /default\/token/, true],
  ])("no answer in time %s", async (_who, path, isGoogles) => {
    gcpMetadata.setGCPResidency(isGoogles);
    const kms = await startFake();
    const key = kms.createKey();
    await (await open(kms, key)).close(); // the library has looked for a metadata server
    const before = kms.count(path);
    kms.fault(path, "hang");
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const opening = thrownBy(() => open(kms, key));
    await kms.called(path, before + 1);
    vi.advanceTimersByTime(10_000);
    expect(await opening).toBeKmsError("PROVIDER_UNAVAILABLE", "in time");
    vi.useRealTimers();
    await kms.left();
    gcpMetadata.setGCPResidency(null);
  });

  it("nobody who listens", async () => {
    const kms = await startFake();
    const error = await thrownBy(() => open(kms, kms.createKey(), { endpoint: "http://127.0.0.1:9" }));
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "did not answer (ECONNREFUSED)");
  });
});

const certificate = makeCertificate(["localhost"]);

it.skipIf(certificate === undefined)(
  "a certificate that is not trusted stops it, and says what trusts it",
  async () => {
    const kms = await startFake();
    const server = createServer(certificate!, () => expect.unreachable()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const error = (await thrownBy(() => open(kms, kms.createKey(), { endpoint }))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    expect(error.advice).toContain("NODE_EXTRA_CA_CERTS");
    server.close();
  },
);
