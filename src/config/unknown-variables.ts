/** Environment variables that look like settings and are none. Their values may be secrets, and are never shown. */
import { nearestName } from "../encoding/nearest.ts";
import { clientVariables } from "./client-environment.ts";
import { prefixes, settingNames } from "./known-settings.ts";
import type { Problem } from "./problem.ts";
import { removedSettings } from "./removed-settings.ts";
import { type Environment, environmentName, isServiceLink } from "./sources.ts";
import { declaredNames, tenantVariable } from "./tenants.ts";

/** Variables that clients in examples/ read. */
const exampleVariables = ["URL", "HTTP_ADDR"].map((name) => `FLUO_KMS_${name}`);
/** Variables that the Azure SDK reads for itself. */
const azureVariables = [
  "TENANT_ID",
  "CLIENT_ID",
  "CLIENT_SECRET",
  "CLIENT_CERTIFICATE_PATH",
  "CLIENT_CERTIFICATE_PASSWORD",
  "CLIENT_SEND_CERTIFICATE_CHAIN",
  "USERNAME",
  "PASSWORD",
  "FEDERATED_TOKEN_FILE",
  "AUTHORITY_HOST",
  "POD_IDENTITY_AUTHORITY_HOST",
  "REGIONAL_AUTHORITY_NAME",
  "ADDITIONALLY_ALLOWED_TENANTS",
  "TOKEN_CREDENTIALS",
  "IDENTITY_DISABLE_MULTITENANTAUTH",
  "IDENTITY_DISABLE_MULTITENANT_AUTH",
  "LOG_LEVEL",
  "KUBERNETES_TOKEN_PROXY",
  "KUBERNETES_CA_DATA",
  "KUBERNETES_CA_FILE",
  "KUBERNETES_SNI_NAME",
].map((name) => `AZURE_${name}`);

/** Variables of Vault's own tools that are near a setting. */
const vaultVariables = ["CAPATH", "K8S_NAMESPACE"].map((name) => `VAULT_${name}`);

const removed = Object.keys(removedSettings).map(environmentName);
const variablePrefixes = prefixes.map(environmentName);
/** Prefixes under which other programs have more names than can be listed. */
const shared = /^(VAULT|AZURE)_/;
/** Variables that Kubernetes sets for a service called fluo-kms, kms or vault, beside those that end with _PORT. */
const ofService = /_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?$/;

/**
 * Variables with a prefix of ours that nothing reads. Under a shared prefix, only those that are near a name that is read.
 * `providerKeys` are the names of declared provider keys, which have settings of their own.
 */
export function unknownVariables(env: Environment, providerKeys: Iterable<string>): Problem[] {
  const ofSettings = [...settingNames, ...declaredNames(providerKeys)].map(environmentName);
  const known = [
    ...ofSettings,
    ...removed,
    ...clientVariables,
    ...exampleVariables,
    ...azureVariables,
    ...vaultVariables,
  ];
  const unknown = Object.keys(env).filter((name) => {
    const text = env[name]?.trim() ?? "";
    if (text === "" || !variablePrefixes.some((start) => name.startsWith(start)) || known.includes(name)) return false;
    return !ofService.test(name) && !tenantVariable.test(name) && !(name.endsWith("_PORT") && isServiceLink(text));
  });
  const names = known.filter((name) => !removed.includes(name)).map((name) => name.toLowerCase());
  return unknown.flatMap((name) => {
    const near = nearestName(name, names)?.toUpperCase();
    if (near === undefined && shared.test(name)) return [];
    const hint = near === undefined ? "application.properties.example lists every name" : `did you mean ${near}?`;
    return [{ name: `${name} (environment)`, description: `is no setting and has no effect; ${hint}` }];
  });
}
