/** What stops the azure provider at start, in the words of its settings, and where it finds its credentials; and what it tells of its key. */
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import { openAzure } from "../../../src/provider/azure/open.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { clientId, federatedToken, tenant } from "../../fakes/azure-authority.ts";
import {
  type AzureFault,
  type AzureKeyVaultFake,
  type FakeVaultKey,
  noRotation,
  rotatedEvery,
} from "../../fakes/azure-key-vault.ts";
import { run } from "../../support/cli-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import {
  canServe,
  context,
  openedOnFake,
  openOn,
  settingsFor,
  startFake,
  withoutCredentials,
} from "../../support/azure-fixture.ts";
import { fromNow, msFromNow, secondsFromNow } from "../../support/from-now.ts";

afterEach(() => {
  vi.useRealTimers();
});

async function refused(
  vault: AzureKeyVaultFake,
  other: Parameters<typeof openOn>[2] = {},
  name = "fluo",
): Promise<KmsError> {
  return (await thrownBy(() => openOn(vault, name, other))) as KmsError;
}

describe.skipIf(!canServe)("at start, refused is", () => {
  it("a key that does not exist, with what to check", async () => {
    const vault = await startFake();
    const error = await refused(vault, {}, "none");
    expect(error).toBeKmsError("PROVIDER_DENIED", "the provider's key does not exist");
    expect(error.advice).toContain(`Check azure.key-vault.key (${vault.url}/keys/none)`);
    await vault.until(() => vault.connections === 0);
  });

  it("a key that may not be read, with the role that allows it", async () => {
    const vault = await startFake();
    vault.createKey("fluo");
    vault.deny((operation) => operation === "get");
    const error = await refused(vault);
    expect(error).toBeKmsError("PROVIDER_DENIED", "denies access to its key");
    expect(error.advice).toContain(
      'Microsoft.KeyVault/vaults/keys/read: az role assignment create --role "Key Vault Crypto Service Encryption User"',
    );
  });

  it.each([
    [{ type: "EC" }, "is of type EC, and must be RSA, RSA-HSM or oct-HSM"],
    [{ type: "RSA", bits: 1024 }, "has 1024 bits, and must have 2048, 3072, 4096"],
    [{ operations: ["sign", "wrapKey"] }, "does not permit unwrapKey"],
    [{ operations: ["encrypt"] }, "does not permit wrapKey and unwrapKey"],
  ] as const)("a key that cannot do it: %j", async (options, says) => {
    const vault = await startFake();
    vault.createKey("fluo", { ...options, operations: "operations" in options ? [...options.operations] : undefined! });
    const error = await refused(vault);
    expect(error).toBeKmsError("INVALID_ARGUMENT", "azure.key-vault.key");
    expect(error).toBeKmsError("INVALID_ARGUMENT", says);
    await vault.until(() => vault.connections === 0);
  });

  it("an identifier with a version, or that is none, without a call", async () => {
    const vault = await startFake();
    for (const key of [`${vault.url}/keys/fluo/${"0".repeat(32)}`, `${vault.url}/secrets/fluo`, "fluo"]) {
      const error = await thrownBy(() => openAzure({ ...settingsFor(vault, "fluo"), key }, realTime));
      expect(error).toBeKmsError("INVALID_ARGUMENT", "azure.key-vault.key");
    }
    expect(vault.log).toEqual([]);
  });

  it("a file of authorities that is not there, or is none", async () => {
    const vault = await startFake();
    const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-")), "ca.pem");
    expect(await refused(vault, { caFile: file })).toBeKmsError("INVALID_ARGUMENT", "cannot be read (ENOENT)");
    writeFileSync(file, "not PEM");
    expect(await refused(vault, { caFile: file })).toBeKmsError("INVALID_ARGUMENT", "azure.cacert");
  });

  it("a certificate that nobody known vouches for, with where to name its authority", async () => {
    const vault = await startFake();
    vault.createKey("fluo");
    const error = await refused(vault, { caFile: undefined });
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "cannot be reached by TLS");
    expect(error.advice).toMatch(/azure\.cacert.*\((DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN)\)/);
    expect(vault.log).toEqual([]);
  });

  it("a name that is not known, with what may have become of the vault", async () => {
    const vault = await startFake();
    const error = (await thrownBy(() =>
      openAzure({ ...settingsFor(vault, "fluo"), key: "https://fluo.invalid/keys/fluo" }, realTime),
    )) as KmsError;
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "cannot be reached");
    expect(error.advice).toContain("az keyvault list-deleted --resource-type vault, az keyvault recover --name fluo");
  });

  it("an authority whose name is not known, with how to name it", async () => {
    const vault = await startFake();
    vault.createKey("fluo");
    vi.stubEnv("AZURE_AUTHORITY_HOST", "https://authority.invalid");
    const error = await refused(vault);
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "the provider's authority cannot be reached");
    expect(error.advice).toContain("AZURE_AUTHORITY_HOST");
  });

  it("a vault that nobody listens at", async () => {
    const vault = await startFake();
    await vault.fault({ mode: "refused" });
    expect(await refused(vault)).toBeKmsError("PROVIDER_UNAVAILABLE", "cannot be reached");
  });

  it("a challenge of another domain, with the setting for private names", async () => {
    const vault = await startFake();
    vault.createKey("fluo");
    const error = await refused(vault, { verifyChallengeResource: true });
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "challenge is not to be trusted");
    expect(error.advice).toContain("azure.verify-challenge-resource=false");
    expect(vault.calls).toEqual({ challenge: 1 });
  });

  it("an answer from a key of another name, also where the vault has a private name", async () => {
    const vault = await startFake();
    vault.createKey("fluo");
    vault.once(
      {
        change: ({ key, ...rest }) => ({
          ...rest,
          key: { ...(key as object), kid: `https://x.vault.azure.net/keys/other/${"0".repeat(32)}` },
        }),
      },
      "get",
    );
    expect(await refused(vault)).toBeKmsError("PROVIDER_UNAVAILABLE", "comes from another key");
  });

  it.each(["challenge", "discovery", "token", "get"] as const)("nobody who answers in time: %s", async (operation) => {
    const vault = await startFake();
    vault.createKey("fluo");
    vault.once("silence", operation);
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const opening = refused(vault);
    await vault.until(() => vault.calls[operation] === 1);
    vi.advanceTimersByTime(10_000);
    expect(await opening).toBeKmsError("PROVIDER_UNAVAILABLE", "did not answer in time");
    vi.useRealTimers();
    await vault.until(() => vault.connections === 0);
  });
});

describe.skipIf(!canServe)("the key's name", () => {
  it("is the vault's own, where it is reached by a private one", async () => {
    const vault = await startFake();
    vault.createKey("fluo");
    const own = `https://fluo.vault.azure.net/keys/fluo`;
    const change = ({ key, ...rest }: Record<string, unknown>) => {
      const { kid } = key as { kid: string };
      return { ...rest, key: { ...(key as object), kid: kid.replace(`${vault.url}/keys/fluo`, own) } };
    };
    vault.once({ change }, "get");
    expect((await openOn(vault, "fluo")).keyId).toBe(own);
  });

  it("is the same in another case", async () => {
    const vault = await startFake();
    vault.createKey("Fluo-KMS");
    const [one, two] = [await openOn(vault, "fluo-kms"), await openOn(vault, "FLUO-kms")];
    expect([one.keyId, two.keyId]).toEqual([`${vault.url}/keys/fluo-kms`, `${vault.url}/keys/fluo-kms`]);
    const { plaintext, wrapped } = await one.generateDataKey(context);
    expect(await two.decrypt(wrapped, context)).toEqual(plaintext);
  });
});

describe.skipIf(!canServe)("the credentials", () => {
  it("may be a workload identity, by the file of its token", async () => {
    const vault = await startFake();
    vault.createKey("fluo");
    const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-")), "token");
    writeFileSync(file, federatedToken);
    withoutCredentials();
    const variables = {
      AZURE_TENANT_ID: tenant,
      AZURE_CLIENT_ID: clientId,
      AZURE_FEDERATED_TOKEN_FILE: file,
      AZURE_AUTHORITY_HOST: vault.url,
      AZURE_TOKEN_CREDENTIALS: "WorkloadIdentityCredential",
    };
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
    const provider = await openOn(vault, "fluo");
    expect((await provider.describe()).state).toBe("enabled");
  });

  it("tell when the token in use ends, and when it was got", async () => {
    const vault = await startFake();
    vault.createKey("fluo");
    const before = msFromNow(0);
    const provider = await openOn(vault, "fluo");
    const { since, until } = provider.credential!()!;
    expect(since.getTime()).toBeGreaterThanOrEqual(before);
    expect(until.getTime()).toBeGreaterThan(msFromNow(0));
    await provider.describe();
    expect(provider.credential!()).toEqual({ since, until });
  });

  it("may be a managed identity, by the machine's own service, which is http: what that says counts as an authority's", async () => {
    const vault = await startFake();
    vault.createKey("fluo");
    const asked: string[] = [];
    const answers: [status: number, body: object][] = [
      [500, {}],
      [400, { error: "invalid_request", error_description: "Identity not found" }],
    ];
    const service = createHttpServer((request, response) => {
      asked.push(`${request.headers["x-identity-header"]} ${request.url}`);
      const expires_on = String(secondsFromNow(3_600));
      const good = {
        access_token: vault.giveToken(),
        expires_on,
        resource: "https://vault.azure.net",
        token_type: "Bearer",
      };
      const [status, body] = answers.shift() ?? [200, good];
      response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
    }).listen(0, "127.0.0.1");
    await once(service, "listening");
    onTestFinished(() => void service.close());
    withoutCredentials();
    const { port } = service.address() as AddressInfo;
    vi.stubEnv("IDENTITY_ENDPOINT", `http://127.0.0.1:${port}/token`);
    vi.stubEnv("IDENTITY_HEADER", "header");
    vi.stubEnv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential");
    expect(await refused(vault)).toBeKmsError("PROVIDER_UNAVAILABLE", "authority cannot answer now");
    expect(await refused(vault)).toBeKmsError("PROVIDER_DENIED", "authority does not accept");
    expect((await (await openOn(vault, "fluo")).describe()).state).toBe("enabled");
    expect(asked).toHaveLength(3);
    expect(asked[2]).toMatch(/^header \/token\?.*resource=https%3A%2F%2Fvault\.azure\.net/);
  });

  it.each([
    ["AZURE_CLIENT_SECRET", "wrong"],
    ["AZURE_CLIENT_ID", "99999999-7777-8888-9999-000000000000"],
  ])("that the authority does not take are refused, with how to give others: %s", async (name, value) => {
    const vault = await startFake();
    vault.createKey("fluo");
    vi.stubEnv(name, value);
    const error = await refused(vault);
    expect(error).toBeKmsError("PROVIDER_DENIED", "authority does not accept this service's credentials");
    expect(error.advice).toContain("az account get-access-token --resource https://vault.azure.net");
    expect(String(error.cause)).toContain("AADSTS");
    expect(String(error.cause)).not.toContain("wrong");
  });

  const outages: [what: string, answer: AzureFault][] = [
    ["throttling", { body: '{"error":"invalid_request"}', status: 429 }],
    ["a failure inside", { body: '{"error":"server_error"}', status: 500 }],
    [
      "a transient error",
      { body: '{"error":"temporarily_unavailable","error_description":"AADSTS90033"}', status: 400 },
    ],
    ["an HTML page", { body: "<html>", status: 200, contentType: "text/html" }],
    ["an HTML page with 403", { body: "<html>", status: 403, contentType: "text/html" }],
    ["nothing", { body: "{}", status: 200 }],
    ["a reset connection", "reset"],
    ["half an answer", "truncated"],
  ];

  it.each(outages)("come back after %s of the authority", async (_what, answer) => {
    const vault = await startFake();
    vault.createKey("fluo");
    for (const operation of ["discovery", "token"] as const) {
      vault.once(answer, operation);
      expect(await refused(vault)).toBeKmsError("PROVIDER_UNAVAILABLE");
    }
    expect(await openOn(vault, "fluo")).toBeDefined();
  });

  it("of an authority that is not in the public list of clouds are refused, with the setting for that", async () => {
    const vault = await startFake();
    vault.createKey("fluo");
    vault.once({ body: '{"error":"invalid_instance","error_description":"AADSTS50049"}', status: 400 }, "discovery");
    const error = await refused(vault);
    expect(error).toBeKmsError("PROVIDER_DENIED", "authority is not known");
    expect(error.advice).toContain("azure.instance-discovery=false");
  });

  it("are missed at once, and the process that misses them ends by itself, with one line", async () => {
    const vault = await startFake();
    vault.createKey("fluo");
    // The default chain, but for the metadata service of a virtual machine, which is asked for at a port that nobody listens at.
    const nobody = createServer().listen(0, "127.0.0.1");
    await once(nobody, "listening");
    const { port } = nobody.address() as AddressInfo;
    nobody.close();
    const env = {
      HOME: tmpdir(),
      PATH: "/nonexistent",
      FLUO_KMS_PROVIDER: "azure",
      FLUO_KMS_STORE: "memory",
      FLUO_KMS_GRPC_PORT: "0",
      FLUO_KMS_HTTP_PORT: "0",
      AZURE_KEY_VAULT_KEY: `${vault.url}/keys/fluo`,
      AZURE_CACERT: vault.caFile,
      AZURE_VERIFY_CHALLENGE_RESOURCE: "false",
      AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://127.0.0.1:${port}`,
    };
    const { code, err } = await run([], { env });
    expect(code).toBe(1);
    expect(err.trim().split("\n")).toEqual([
      expect.stringContaining("did not start: there are no credentials for the provider: The credentials are those"),
    ]);
    expect(vault.calls.token).toBeUndefined();
  });
});

describe.skipIf(!canServe)("what an operator is told of the key", () => {
  it("is its version, kind and rotation, and nothing to change about a good one", async () => {
    const { key, provider } = await openedOnFake({ type: "RSA-HSM", bits: 3072 });
    expect(await provider.inspect()).toMatchObject({
      state: "enabled",
      detail: `version ${key.current.id}, RSA-HSM 3072`,
      rotation: "every 90 days",
      advice: [],
    });
  });

  it.each([
    ["P3M", "every 3 months"],
    ["P1Y", "every 1 year"],
    ["P1Y6M", "every 1 year 6 months"],
    ["PT48H", "every 48 hours"],
    ["whenever", "every (an unknown time)"],
  ])("is a rotation each %s: %s", async (period, told) => {
    const { key, provider } = await openedOnFake({ type: "oct-HSM" });
    key.rotationPolicy = rotatedEvery(period);
    expect(await provider.inspect()).toMatchObject({ rotation: told, advice: [] });
  });

  it("is a rotation that is off, or before a version expires, or not told", async () => {
    const { vault, key, provider } = await openedOnFake({ type: "oct-HSM" });
    key.rotationPolicy = noRotation;
    const command = `az keyvault key rotation-policy update --id ${provider.keyId} --value policy.json`;
    expect(await provider.inspect()).toMatchObject({
      rotation: "off",
      rotationAdvice: expect.stringContaining(command),
      advice: [],
    });
    key.rotationPolicy = {
      lifetimeActions: [{ trigger: { timeBeforeExpiry: "P30D" }, action: { type: "Rotate" } }],
      attributes: { expiryTime: "P1Y" },
    };
    expect(await provider.inspect()).toMatchObject({ rotation: "30 days before a version expires", advice: [] });
    vault.deny((operation) => operation === "rotationpolicy");
    const denied = await provider.inspect();
    expect(denied.rotation).toBeUndefined();
    expect(denied.advice).toEqual([
      expect.stringContaining(
        'Microsoft.KeyVault/vaults/keyrotationpolicies/read: az role assignment create --role "Key Vault Reader"',
      ),
    ]);
    vault.once({ code: "InternalServerError", status: 500 }, "rotationpolicy");
    vault.deny(() => false);
    expect(await thrownBy(() => provider.inspect())).toBeKmsError("PROVIDER_UNAVAILABLE");
    vault.once({ body: "{}" }, "rotationpolicy");
    expect(await thrownBy(() => provider.inspect())).toBeKmsError("PROVIDER_UNAVAILABLE", "no rotation policy");
  });

  const soon = fromNow(10 * 86_400_000);
  const gone = fromNow(-86_400_000);

  const changes: [
    what: string,
    ofVersion: Partial<FakeVaultKey["current"]>,
    ofKey: Partial<FakeVaultKey>,
    state: string,
    advice: string,
  ][] = [
    ["disabled", { enabled: false }, {}, "disabled", "az keyvault key set-attributes --id KEY --enabled true"],
    [
      "without an operation",
      { operations: ["wrapKey"] },
      {},
      "disabled",
      "az keyvault key set-attributes --id KEY --ops wrapKey unwrapKey",
    ],
    ["early", { notBefore: soon }, {}, "enabled", "az keyvault key set-attributes --id KEY --not-before"],
    ["about to expire", { expires: soon }, {}, "enabled", "az keyvault key rotate --id KEY"],
    ["expired", { expires: gone }, {}, "enabled", "az keyvault key rotate --id KEY"],
    [
      "not protected from purging",
      {},
      { recoveryLevel: "Recoverable+Purgeable" },
      "enabled",
      "az keyvault update --name localhost --enable-purge-protection true",
    ],
    ["exportable", { exportable: true }, {}, "enabled", "The key can be exported"],
  ];

  it.each(changes)("is that it is %s, and what to do", async (_what, ofVersion, ofKey, state, advice) => {
    const { key, provider } = await openedOnFake({ type: "oct-HSM" });
    Object.assign(key.current, ofVersion);
    Object.assign(key, ofKey);
    const report = await provider.inspect();
    expect(report.state).toBe(state);
    expect(report.advice).toEqual([expect.stringContaining(advice.replace("KEY", provider.keyId))]);
  });

  it.each([
    [{ type: "RSA", bits: 3072 }, "in software (RSA 3072)"],
    [{ type: "RSA-HSM", bits: 2048 }, "an RSA key of 2048 bits"],
    [{ type: "oct-HSM", bits: 128 }, "an AES key of 128 bits"],
  ] as const)("is that there are stronger ones: %j", async (options, what) => {
    const { provider } = await openedOnFake(options);
    const { advice } = await provider.inspect();
    expect(advice).toEqual([
      expect.stringContaining(`The key is ${what}: make a stronger one, az keyvault key create --vault-name localhost`),
    ]);
  });

  it("is not there for one that is deleted, until it is recovered", async () => {
    const { key, provider } = await openedOnFake();
    key.deleted = true;
    for (const look of [() => provider.describe(), () => provider.inspect()]) {
      const error = (await thrownBy(look)) as KmsError;
      expect(error).toBeKmsError("PROVIDER_DENIED", "does not exist");
      expect(error.advice).toContain("az keyvault key recover --vault-name localhost --name fluo");
    }
    key.deleted = false;
    expect((await provider.describe()).state).toBe("enabled");
  });
});
