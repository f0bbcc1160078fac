/** Variables with a prefix of ours that nothing reads: of which a start warns, and of which it does not. */
import { describe, expect, it } from "vitest";
import { load, problemsOf } from "../support/config-fixture.ts";

const secret = "hunter2";
const warned = (env: Record<string, string>, properties?: string) =>
  load(env, properties).warnings.filter((warning) => warning.includes("is no setting and has no effect"));
const variables = (prefix: string, names: string) =>
  Object.fromEntries(names.split(" ").map((name) => [`${prefix}_${name}`, secret]));

const bank = [
  ...["provider=vault", "vault.addr=https://bank.example.com", "vault.transit.key=kms"].map(
    (line) => `fluo.kms.provider-keys.bank.${line}`,
  ),
].join("\n");

describe("a warning names the nearest name, and never the value:", () => {
  it.each([
    ["FLUO_KMS_PROVDER", "did you mean FLUO_KMS_PROVIDER?"],
    ["FLUO_KMS_HTTP_PROT", "did you mean FLUO_KMS_HTTP_PORT?"],
    ["FLUO_KMS_GPRC_PORT", "did you mean FLUO_KMS_GRPC_PORT?"],
    ["FLUO_KMS_OTHER_PROVDER", "did you mean FLUO_KMS_OTHER_PROVIDER?"],
    ["FLUO_KMS_TOKN", "did you mean FLUO_KMS_TOKEN?"],
    ["KMS_CACHE_TLL", "did you mean KMS_CACHE_TTL?"],
    ["AWS_KMS_REGOIN", "did you mean AWS_KMS_REGION?"],
    ["GCP_KMS_KYE", "did you mean GCP_KMS_KEY?"],
    ["AZURE_KEYVAULT_KEY", "did you mean AZURE_KEY_VAULT_KEY?"],
    ["AZURE_CLIENTID", "did you mean AZURE_CLIENT_ID?"],
    ["VAULT_ADRR", "did you mean VAULT_ADDR?"],
    ["VAULT_ADDRESS", "did you mean VAULT_ADDR?"],
    ["KMS_CACHE", "application.properties.example lists every name."],
  ])("%s: %s", (name, hint) => {
    expect(warned({ [name]: secret })).toEqual([`${name} (environment) is no setting and has no effect; ${hint}`]);
  });

  it("of a declared provider key too", () => {
    const env = {
      FLUO_KMS_PROVIDER_KEYS_BANK_VAULT_TOKEN: "t",
      FLUO_KMS_PROVIDER_KEYS_BANK_VAULT_TOKN: "t",
    };
    expect(warned(env, bank)).toEqual([expect.stringContaining("mean FLUO_KMS_PROVIDER_KEYS_BANK_VAULT_TOKEN?")]);
  });
});

it("is told beside problems, of which it may be the cause", () => {
  const problems = problemsOf(() => load({ FLUO_KMS_PROVIDER: "vault", VAULT_ADRR: secret, VAULT_TRANSIT_KEY: "k" }));
  expect(problems).toContain("vault.addr: is missing");
  expect(problems).toContain("VAULT_ADRR (environment): is no setting and has no effect; did you mean VAULT_ADDR?");
  expect(problems).not.toContain(secret);
});

describe("nothing is said", () => {
  it.each([
    ["of what clients read", variables("FLUO_KMS", "ADDR GRPC_ADDR HTTP_ADDR URL TOKEN TOKEN_FILE CACERT CLIENT_CERT")],
    ["of what is empty", { FLUO_KMS_PROVDER: " " }],
    ["of other programs", { KMSX: "1", AWS_REGION: "eu-west-1", FLUO_WAIT_AT: "1", GCP_PROJECT: "p", VAULTX: "1" }],
    [
      "of Vault's own, by its documentation",
      variables(
        "VAULT",
        "AGENT_ADDR API_ADDR CACERT_BYTES CAPATH CLIENT_CERT CLIENT_KEY CLIENT_TIMEOUT CLI_NO_COLOR CLUSTER_ADDR DETAILED DISABLE_REDIRECTS FORMAT HTTP_PROXY LICENSE LICENSE_PATH LOG_FORMAT LOG_LEVEL MAX_RETRIES MFA PROXY_ADDR RATE_LIMIT REDIRECT_ADDR SKIP_VERIFY SRV_LOOKUP TLS_SERVER_NAME UI WRAP_TTL K8S_NAMESPACE K8S_POD_NAME",
      ),
    ],
    [
      "of Azure's own, of the SDK and its command line",
      variables(
        "AZURE",
        "TENANT_ID CLIENT_ID CLIENT_SECRET CLIENT_CERTIFICATE_PATH FEDERATED_TOKEN_FILE AUTHORITY_HOST TOKEN_CREDENTIALS USERNAME PASSWORD LOG_LEVEL CONFIG_DIR EXTENSION_DIR SUBSCRIPTION_ID CLOUD_NAME HTTP_USER_AGENT CORE_OUTPUT DEFAULTS_GROUP STORAGE_ACCOUNT STORAGE_CONNECTION_STRING RESOURCE_GROUP LOCATION",
      ),
    ],
    ...["FLUO_KMS", "KMS", "VAULT", "FLUO_KMS_GRPC", "FLUO_KMS_HEADLESS"].map((service): [string, object] => [
      `of a Kubernetes service ${service}`,
      {
        [`${service}_PORT`]: "tcp://10.0.0.1:9000",
        [`${service}_PORT_9000_TCP`]: "tcp://10.0.0.1:9000",
        ...variables(service, "SERVICE_HOST SERVICE_PORT SERVICE_PORT_GRPC SERVICE_PORT_HTTP_METRICS"),
        ...variables(service, "PORT_9000_TCP_ADDR PORT_9000_TCP_PORT PORT_9000_TCP_PROTO PORT_53_UDP PORT_9_SCTP_ADDR"),
      },
    ]),
  ])("%s", (_, env) => {
    expect(warned(env as Record<string, string>)).toEqual([]);
  });

  it("of a port that is no service's, other than by its own rules", () => {
    expect(load({ FLUO_KMS_HTTP_PORT: "8081" }).httpPort).toBe(8081);
    expect(warned({ FLUO_KMS_PORT: "9000" })).toHaveLength(1);
  });
});
