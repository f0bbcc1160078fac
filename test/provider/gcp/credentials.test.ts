/**
 * Where the gcp provider finds its credentials, of every kind, and what it says where it finds none. Google's own hosts are the fake, by
 * the proxy that the library finds in HTTPS_PROXY and by an authority that the tests add to those that Node trusts.
 */
import { generateKeyPairSync, type KeyObject, verify } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { inspect } from "node:util";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import { manualTime } from "../../../src/runtime/manual-time.ts";
import { run } from "../../support/cli-fixture.ts";
import { makeCertificate } from "../../fakes/certificates.ts";
import type { GcpKmsFake } from "../../fakes/gcp-kms.ts";
import { thrownBy } from "../../support/matchers.ts";
import { context, noCredentials, open, startFake, useMetadataServer } from "../../support/gcp-fixture.ts";
import { fromNow } from "../../support/from-now.ts";

useMetadataServer();

const certificate = makeCertificate(["oauth2.googleapis.com", "iamcredentials.googleapis.com"]);
if (certificate === undefined)
  console.warn("openssl cannot make certificates here: Google's token endpoint is not tested");
else setDefaultCACertificates([...getCACertificates("default"), certificate.authority]);

it.skipIf(certificate !== undefined || !process.env.CI)("openssl makes certificates", () => {
  expect(certificate).toBeDefined();
});

const directory = mkdtempSync(join(tmpdir(), "fluo-kms-gcp-"));
afterAll(() => rmSync(directory, { recursive: true }));

const email = "fluo-kms@audit-1.iam.gserviceaccount.com";
const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const another = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;

let files = 0;
function file(content: unknown): string {
  files += 1;
  const path = join(directory, `${files}.json`);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const pem = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" });
const accountKey = (key: KeyObject) => ({
  type: "service_account",
  project_id: "audit-1",
  private_key_id: "1",
  private_key: pem(key),
  client_email: email,
  token_uri: "https://oauth2.googleapis.com/token",
});
const user = {
  type: "authorized_user",
  client_id: "id",
  client_secret: "hunter2",
  refresh_token: "1//refresh-hunter2",
};
const acting = `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${email}:generateAccessToken`;

/** As gcloud iam workload-identity-pools create-cred-config writes it. */
function federated(kms: GcpKmsFake, over: object = {}) {
  return {
    type: "external_account",
    audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider",
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    token_url: `${kms.url}/v1/token`,
    credential_source: { file: file("e30.e30.subject") },
    ...over,
  };
}

/** A fake that is not the machine's metadata server, but stands for all of Google's hosts. */
async function startGoogle(): Promise<GcpKmsFake> {
  const kms = await startFake(certificate);
  vi.stubEnv("GCE_METADATA_HOST", "");
  vi.stubEnv("METADATA_SERVER_DETECTION", "none");
  vi.stubEnv("HTTPS_PROXY", kms.url);
  vi.stubEnv("NO_PROXY", "127.0.0.1");
  kms.accounts.set(email, publicKey);
  kms.refreshTokens.add(user.refresh_token);
  kms.subjects.add("e30.e30.subject");
  return kms;
}

afterEach(() => {
  for (const [name, value] of Object.entries(noCredentials)) vi.stubEnv(name, value);
  vi.restoreAllMocks();
});

async function serves(kms: GcpKmsFake, credentialsFile?: string): Promise<void> {
  const warned = vi.spyOn(console, "warn");
  const provider = await open(kms, kms.createKey(), { credentialsFile });
  const { plaintext, wrapped } = await provider.generateDataKey(context);
  expect(Buffer.compare(await provider.decrypt(wrapped, context), plaintext)).toBe(0);
  expect(warned).not.toHaveBeenCalled();
}

const googleHosts = describe.skipIf(certificate === undefined);

googleHosts("credentials may be", () => {
  it("a service account's key, in the file of the setting", async () => {
    const kms = await startGoogle();
    await serves(kms, file(accountKey(privateKey)));
    expect(kms.count(/^\/token$/)).toBe(1);
  });

  it("a service account's key, in the file of GOOGLE_APPLICATION_CREDENTIALS", async () => {
    const kms = await startGoogle();
    vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", file(accountKey(privateKey)));
    await serves(kms);
    expect(kms.count(/^\/token$/)).toBe(1);
  });

  it("a user's login by gcloud, whose quota project goes with each call", async () => {
    const kms = await startGoogle();
    const config = join(directory, "gcloud");
    mkdirSync(config);
    const login = JSON.stringify({ ...user, quota_project_id: "quota-1" });
    writeFileSync(join(config, "application_default_credentials.json"), login);
    vi.stubEnv("CLOUDSDK_CONFIG", config);
    await serves(kms);
    const projects = kms.calls.filter(({ path }) => path.startsWith("/v1/projects/audit-1/"));
    expect(new Set(projects.map(({ headers }) => headers["x-goog-user-project"]))).toEqual(new Set(["quota-1"]));
  });

  it("a user's, who acts as a service account", async () => {
    const kms = await startGoogle();
    const impersonated = {
      type: "impersonated_service_account",
      service_account_impersonation_url: acting,
      source_credentials: user,
      delegates: [],
    };
    await serves(kms, file(impersonated));
    expect([kms.count(/^\/token$/), kms.count(/:generateAccessToken$/)]).toEqual([1, 1]);
  });

  it("a workload's from elsewhere, as itself or as a service account", async () => {
    const kms = await startGoogle();
    await serves(kms, file(federated(kms)));
    await serves(kms, file(federated(kms, { service_account_impersonation_url: acting })));
    expect([kms.count(/^\/v1\/token$/), kms.count(/:generateAccessToken$/)]).toEqual([2, 1]);
  });

  it("the attached service account's, from the metadata server", async () => {
    const kms = await startFake();
    await serves(kms);
    const asked = kms.calls.find(({ path }) => path.includes("/token"));
    expect(decodeURIComponent(asked!.path)).toBe(
      "/computeMetadata/v1/instance/service-accounts/default/token?scopes=https://www.googleapis.com/auth/cloudkms",
    );
  });

  it("read anew, when Google no longer takes the token: a key file that was replaced needs no restart", async () => {
    const kms = await startGoogle();
    const path = file(accountKey(privateKey));
    const time = manualTime({ start: fromNow(0) });
    const provider = await open(kms, kms.createKey(), { credentialsFile: path }, time);
    const next = generateKeyPairSync("rsa", { modulusLength: 2048 });
    kms.accounts.set(email, next.publicKey);
    kms.tokens.clear();
    expect(await thrownBy(() => provider.describe())).toBeKmsError("PROVIDER_DENIED", "does not accept");
    writeFileSync(path, JSON.stringify(accountKey(next.privateKey)));
    await time.advance(999); // a refusal holds for a second
    expect(await thrownBy(() => provider.describe())).toBeKmsError("PROVIDER_DENIED", "does not accept");
    await time.advance(1);
    expect((await provider.describe()).state).toBe("enabled");
  });
});

googleHosts("another universe", () => {
  const elsewhere = { ...accountKey(privateKey), universe_domain: "example.goog" };

  it("needs an endpoint: its credentials are not sent to Google's", async () => {
    const kms = await startGoogle();
    const settings = { credentialsFile: file(elsewhere), endpoint: undefined };
    const error = await thrownBy(() => open(kms, kms.createKey(), settings));
    expect(error).toBeKmsError("INVALID_ARGUMENT", "gcp.kms.endpoint");
    expect(error).toBeKmsError("INVALID_ARGUMENT", "example.goog");
    expect(kms.calls).toEqual([]);
  });

  it("takes what the service account signed itself", async () => {
    const kms = await startGoogle();
    expect(await thrownBy(() => open(kms, kms.createKey(), { credentialsFile: file(elsewhere) }))).toBeKmsError(
      "PROVIDER_DENIED",
    ); // the fake is no other universe
    const [head = "", claims = "", signature = ""] = kms.calls[0]!.token!.split(".");
    expect(verify("sha256", Buffer.from(`${head}.${claims}`), publicKey, Buffer.from(signature, "base64url"))).toBe(
      true,
    );
    expect(kms.count(/^\/token$/)).toBe(0);
  });
});

googleHosts("over TLS, with an authority that Node trusts,", () => {
  it("the key is used", async () => {
    const kms = await startGoogle();
    const endpoint = kms.secureUrl;
    const provider = await open(kms, kms.createKey(), { endpoint, credentialsFile: file(accountKey(privateKey)) });
    const { plaintext, wrapped } = await provider.generateDataKey(context);
    expect(Buffer.compare(await provider.decrypt(wrapped, context), plaintext)).toBe(0);
    expect(kms.connections()).toBe(1);
  });
});

googleHosts("credentials are refused", () => {
  it.each<[string, () => unknown, string]>([
    ["a key that is not the service account's", () => accountKey(another), "Invalid JWT Signature"],
    ["a login that was revoked", () => ({ ...user, refresh_token: "1//other" }), "expired or revoked"],
  ])("by Google, for good: %s", async (_what, content, said) => {
    const kms = await startGoogle();
    const error = (await thrownBy(() => open(kms, kms.createKey(), { credentialsFile: file(content()) }))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_DENIED", "does not accept this service's credentials");
    expect(error.advice).toContain("gcloud auth application-default login");
    expect(String(error.cause)).toContain(said);
    expect(inspect(error, { depth: 9 })).not.toMatch(/hunter2|BEGIN PRIVATE KEY|eyJ/);
    expect(kms.count(/^\/v1\//)).toBe(0);
  });

  it("by the token service of federation, for good", async () => {
    const kms = await startGoogle();
    kms.subjects.clear();
    const path = file(federated(kms));
    const error = (await thrownBy(() => open(kms, kms.createKey(), { credentialsFile: path }))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_DENIED", "does not accept this service's credentials");
    expect(String(error.cause)).toContain("Unable to verify the ID Token signature");
    expect(inspect(error, { depth: 9 })).not.toContain("e30.e30");
  });

  it("where this machine's clock is wrong, until it is set", async () => {
    const kms = await startGoogle();
    kms.fault(/^\/token$/, {
      status: 400,
      body: {
        error: "invalid_grant",
        error_description: "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
      },
    });
    const path = file(accountKey(privateKey));
    const error = (await thrownBy(() => open(kms, kms.createKey(), { credentialsFile: path }))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "clock");
    expect(error.advice).toContain("timedatectl set-ntp true");
  });
});

googleHosts("a source of tokens that cannot answer now is asked once, by the library", () => {
  const page = "<html>Secret-looking words</html>";
  const sources: [string, RegExp, (kms: GcpKmsFake) => string | undefined][] = [
    ["Google's token endpoint", /^\/token$/, () => file(accountKey(privateKey))],
    ["the token service of federation", /^\/v1\/token$/, (kms) => file(federated(kms))],
    [
      "the one that lets act",
      /:generateAccessToken$/,
      (kms) => file(federated(kms, { service_account_impersonation_url: acting })),
    ],
    ["the metadata server", /default\/token/, () => undefined],
  ];
  const answers: [string, object][] = [
    ["a 503", { status: 503, body: { error: { code: 503, message: "Try again.", status: "UNAVAILABLE" } } }],
    ["a 429", { status: 429, body: "" }],
    ["a page", { status: 200, body: page, headers: { "metadata-flavor": "Google" } }],
    ["an empty object", { status: 200, body: {}, headers: { "metadata-flavor": "Google" } }],
  ];

  it.each(sources.flatMap((source) => answers.map((answer) => [...source, ...answer] as const)))(
    "%s (%s): %s",
    async (_source, path, makeFile, _answer, fault) => {
      const kms = await startGoogle();
      const credentialsFile = makeFile(kms);
      if (credentialsFile === undefined) vi.stubEnv("METADATA_SERVER_DETECTION", "assume-present");
      if (credentialsFile === undefined) vi.stubEnv("GCE_METADATA_HOST", kms.host);
      kms.fault(path, fault as never);
      const error = await thrownBy(() => open(kms, kms.createKey(), { credentialsFile }));
      expect(error).toBeKmsError("PROVIDER_UNAVAILABLE");
      expect(kms.count(path)).toBe(1);
      expect(inspect(error, { depth: 9 })).not.toContain("Secret-looking");
      kms.fault(path, undefined);
      await serves(kms, credentialsFile);
    },
  );

  it("a redirect is not followed: what proves who asks would go there", async () => {
    const kms = await startGoogle();
    const elsewhere = await startGoogle();
    kms.fault(/^\/v1\/token$/, { status: 307, headers: { location: `${elsewhere.url}/v1/token` }, body: "" });
    const path = file(federated(kms));
    const error = await thrownBy(() => open(kms, kms.createKey(), { credentialsFile: path }));
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE");
    expect(elsewhere.calls).toEqual([]);
  });

  it("a reset is one request too", async () => {
    const kms = await startGoogle();
    kms.fault(/^\/v1\/token$/, "reset");
    const path = file(federated(kms));
    const error = await thrownBy(() => open(kms, kms.createKey(), { credentialsFile: path }));
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "gets its tokens did not answer");
    expect(kms.count(/^\/v1\/token$/)).toBe(1);
  });
});

describe("a credentials file that cannot be one is refused by the setting's name", () => {
  it.each<[string, () => string, string]>([
    ["missing", () => join(directory, "none.json"), "cannot be read (ENOENT)"],
    ["a directory", () => directory, "cannot be read (EISDIR)"],
    ["not JSON", () => file("-----BEGIN PRIVATE KEY----- hunter2"), "is not JSON"],
    ["JSON of something else", () => file({ hunter2: true }), "it has no type"],
    ["nothing", () => file("null"), "it has no type"],
  ])("%s", async (_what, make, says) => {
    const kms = await startFake();
    const error = (await thrownBy(() => open(kms, kms.createKey(), { credentialsFile: make() }))) as KmsError;
    expect(error).toBeKmsError("INVALID_ARGUMENT", "gcp.kms.credentials-file");
    expect(error.message).toContain(says);
    expect(inspect(error, { depth: 9 })).not.toContain("hunter2");
    expect(kms.calls).toEqual([]);
  });

  it("and one that lacks a part says what it lacks, and shows nothing of it", async () => {
    const kms = await startFake();
    const path = file({ type: "service_account", private_key: "hunter2" });
    const error = (await thrownBy(() => open(kms, kms.createKey(), { credentialsFile: path }))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_DENIED", "cannot use its credentials");
    expect(String(error.cause)).toContain("client_email");
    expect(inspect(error, { depth: 9 })).not.toContain("hunter2");
  });
});

it("a file of GOOGLE_APPLICATION_CREDENTIALS that is no JSON is not quoted", async () => {
  const kms = await startFake();
  vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", file("hunter2"));
  const error = (await thrownBy(() => open(kms, kms.createKey()))) as KmsError;
  expect(error).toBeKmsError("PROVIDER_DENIED", "cannot use its credentials");
  expect(inspect(error, { depth: 9 })).not.toContain("hunter2");
});

describe("no credentials at all", () => {
  it("are looked for anew each time: a metadata server that was not there may be by now", async () => {
    const kms = await startFake();
    kms.fault(/^\/computeMetadata\/v1\/instance$/, { status: 404, body: "" });
    const key = kms.createKey();
    expect(await thrownBy(() => open(kms, key))).toBeKmsError("PROVIDER_DENIED", "has no credentials");
    kms.fault(/^\/computeMetadata\/v1\/instance$/, undefined);
    expect((await (await open(kms, key)).describe()).state).toBe("enabled");
  });

  it("are missed at once, with how to give them", async () => {
    const kms = await startFake();
    vi.stubEnv("METADATA_SERVER_DETECTION", "none");
    const error = (await thrownBy(() => open(kms, kms.createKey()))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_DENIED", "has no credentials");
    for (const way of ["gcloud auth application-default login", "gcp.kms.credentials-file", "Workload Identity"]) {
      expect(error.advice).toContain(way);
    }
    expect(kms.calls).toEqual([]);
  });

  it("end a start in order, with nothing left unhandled", async () => {
    const env = {
      ...noCredentials,
      METADATA_SERVER_DETECTION: "none",
      FLUO_KMS_PROVIDER: "gcp",
      GCP_KMS_KEY: "projects/audit-1/locations/europe-west1/keyRings/kms/cryptoKeys/fluo",
    };
    const { code, err } = await run([], { env });
    expect(code).toBe(1);
    expect(err).toMatch(/^fluo-kms: did not start: provider gcp has no credentials/m);
    expect(err).not.toMatch(/unhandled|at async|node:internal/i);
  });
});
