/** Values that are refused, by the schema or by the templates, and what Helm then says. */
import { expect, it } from "vitest";
import { tryTemplate } from "./helm-chart.ts";

it.each<[what: string, example: string, set: string[], said: RegExp]>([
  ["no authentication", "aws-irsa", ['auth="none"'], /at '\/auth': value must be 'policy'/],
  ["an unknown value", "aws-irsa", ["replica=3"], /additional properties 'replica' not allowed/],
  ["an unknown value in a group", "aws-irsa", ["tls.secretname=1"], /'secretname' not allowed/],
  ["several replicas of SQLite", "sqlite", ["replicas=2"], /at '\/replicas': maximum: got 2, want 1/],
  ["an autoscaler of SQLite", "sqlite", ["autoscaling.enabled=true"], /at '\/autoscaling\/enabled'/],
  ["a drill of SQLite by a job", "sqlite", ["drill.enabled=true"], /at '\/drill\/enabled'/],
  ["a drill without backups", "aws-irsa", ["drill.enabled=true"], /at '\/backup\/enabled'/],
  ["the provider local", "aws-irsa", ['provider.name="local"'], /at '\/provider\/name'/],
  ["no provider", "aws-irsa", ['provider.name=""'], /at '\/provider\/name'/],
  ["no issuer", "aws-irsa", ['issuer=""'], /at '\/issuer'/],
  ["no policy", "aws-irsa", ["policy.files={}", 'policy.files."policy\\.yaml"=null'], /at '\/policy/],
  ["no certificate", "aws-irsa", ['tls.secretName=""'], /at '\/tls/],
  [
    "an issuer of certificates without a name",
    "cert-manager",
    ['tls.certManager.issuerRef.name=""'],
    /issuerRef\/name/,
  ],
  ["PostgreSQL without a host", "aws-irsa", ['store.postgres.host=""'], /postgres\/host/],
  ["PostgreSQL without a password", "aws-irsa", ['store.postgres.passwordSecret.name=""'], /passwordSecret\/name/],
  ["a host left empty", "aws-irsa", ["store.postgres.host=null"], /at '\/store\/postgres': missing property 'host'/],
  ["an issuer left empty", "aws-irsa", ["issuer=null"], /missing property 'issuer'/],
  ["a policy left empty", "aws-irsa", ["policy.files=null"], /at '\/policy': missing property 'files'/],
  ["a digest that is none", "aws-irsa", ['image.digest="latest"'], /at '\/image\/digest'/],
  ["a network policy without egress", "aws-irsa", ["networkPolicy.enabled=true"], /at '\/networkPolicy\/egress'/],
  ["metrics by scrape and by OTLP together", "monitoring", ["otlp.metrics=true"], /at '': 'not' failed/],
  ["a scrape without a token", "monitoring", ['monitoring.serviceMonitor.tokenSecret.name=""'], /tokenSecret\/name/],
  ["a token for nobody", "vault-kubernetes", ['credentials.projectedToken.audience=""'], /projectedToken\/audience/],
  ["a setting of a provider in settings", "aws-irsa", ['settings={"aws.kms.region": "x"}'], /'aws\.kms\.region'/],
  [
    "a setting of several lines",
    "aws-irsa",
    ['settings={"kms.cache.ttl": "1m\\nfluo.kms.auth=none"}'],
    /kms\.cache\.ttl/,
  ],
  ["an attribute with a comma", "otlp", ['otlp.attributes={"a": "b,c=d"}'], /at '\/otlp\/attributes\/a'/],
  [
    "a setting that a value of the chart sets",
    "aws-irsa",
    ['settings={"fluo.kms.host": "127.0.0.1"}'],
    /fluo\.kms\.host is set by another value of the chart/,
  ],
  [
    "the same in a profile",
    "aws-irsa",
    ['settings={"%prod.fluo.kms.auth": "none"}'],
    /fluo\.kms\.auth is set by another value of the chart/,
  ],
  [
    "a heads file that no new pod has",
    "aws-irsa",
    ['settings={"fluo.kms.audit.heads-file.required": true}'],
    /heads-file\.required is set by another value of the chart/,
  ],
  ["a name that no Service may have", "aws-irsa", ['fullnameOverride="kms.eu"'], /would be named kms\.eu, .*no dot/],
  ["one that begins with a digit", "aws-irsa", ['fullnameOverride="1kms"'], /would be named 1kms, .*a letter/],
  ["a token in a ConfigMap", "openbao-token-file", [settingOf("vault.token")], /invalid propertyName 'vault\.token'/],
  [
    "a secret id there",
    "openbao-token-file",
    [settingOf("vault.approle.secret-id")],
    /propertyName 'vault\.approle\.secret-id'/,
  ],
  [
    "a label of its pods twice",
    "aws-irsa",
    ['podLabels={"app.kubernetes.io/name": "x"}'],
    /propertyName 'app\.kubernetes\.io\/name'/,
  ],
  ["an annotation twice", "aws-irsa", ['podAnnotations={"checksum/config": "x"}'], /propertyName 'checksum\/config'/],
  [
    "a label of a ServiceMonitor twice",
    "monitoring",
    ['monitoring.serviceMonitor.labels={"app.kubernetes.io/instance": "x"}'],
    /propertyName 'app\.kubernetes\.io\/instance'/,
  ],
  [
    "less memory than the formula has",
    "aws-irsa",
    ['resources={"cpu": "2", "memory": "400Mi"}'],
    /resources\.memory is 400Mi, and 2 threads and 1000 cached keys need 496Mi/,
  ],
  [
    "less memory than the service and its backups have",
    "sqlite",
    ['resources={"cpu": "1", "memory": "561Mi"}'],
    /resources\.memory is 561Mi, and 1 threads and 1000 cached keys, with the service's own backups, need 562Mi/,
  ],
  [
    "more replicas than the database has connections for",
    "aws-irsa",
    ["replicas=8"],
    /8 replicas and one more in an upgrade need 109 connections, and store\.postgres\.serverMaxConnections is 100/,
  ],
  [
    "the same of an autoscaler",
    "postgres",
    ["autoscaling.maxReplicas=12"],
    /12 replicas and one more in an upgrade need 205 connections/,
  ],
  ["an autoscaler upside down", "postgres", ["autoscaling.minReplicas=9"], /minReplicas is more than/],
])("refuses %s", (_what, example, set, said) => {
  const { status, stdout, stderr } = tryTemplate(example, set);
  expect(stderr).toMatch(said);
  expect(status).not.toBe(0);
  expect(stdout).toBe("");
});

function settingOf(name: string): string {
  return `provider.settings={"${name}": "hvs.of-a-token"}`;
}
