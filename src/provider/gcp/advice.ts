/**
 * What an operator can do about what Cloud KMS says, with the very command. Never sent to a caller.
 * https://cloud.google.com/sdk/gcloud/reference/kms
 */
import type { GcpKey } from "./key.ts";

/** A key, and the number of the version that is meant where it is known. */
export interface About {
  key: GcpKey;
  version?: string | undefined;
}

const version = (about: About) => about.version ?? "VERSION";

export function enable(about: About): string {
  return `Enable the key version: ${versions("enable", about)}`;
}

export function restore(about: About): string {
  return `Restore the key version before it is destroyed, then enable it: ${versions("restore", about)} && ${versions("enable", about)}`;
}

/** Nothing brings a destroyed version back, but what it wrapped may not be all. */
export function replaceDestroyed({ key }: About): string {
  return `The key version is destroyed, and what it alone wrapped is lost. Restore the store from a backup that is wrapped by another key, or for new keys make another version primary: ${keyCommand("versions create", key, `--key=${key.id} --primary`)}`;
}

export function makePrimary(about: About): string {
  return `Make an enabled version the primary one: ${keyCommand("set-primary-version", about.key, `${about.key.id} --version=${version(about)}`)}`;
}

export function lookAtVersions({ key }: About): string {
  return `See the states of its versions: ${keyCommand("versions list", key, `--key=${key.id}`)}`;
}

export function look({ key }: About): string {
  return `See what the key is: ${keyCommand("describe", key, key.id)}`;
}

export function find({ key }: About): string {
  return `Check gcp.kms.key (${key.name}), and see the keys that there are: ${keyCommand("list", key, "")}`;
}

export function allow({ key }: About): string {
  const bind = (role: string) =>
    keyCommand("add-iam-policy-binding", key, `${key.id} --member=${member} --role=${role}`);
  return `Check gcp.kms.key (${key.name}), then let this service use the key and see its state: ${bind(useRole)} && ${bind(viewRole)}`;
}

const member = "serviceAccount:SERVICE_ACCOUNT_EMAIL";
const useRole = "roles/cloudkms.cryptoKeyEncrypterDecrypter";
const viewRole = "roles/cloudkms.viewer";

export function rotate({ key }: About, nextRotation: Date): string {
  const schedule = `--rotation-period=90d --next-rotation-time=${nextRotation.toISOString()}`;
  return `Automatic rotation is off; turn it on: ${keyCommand("update", key, `${key.id} ${schedule}`)}`;
}

/** `consumer` as in projects/123456789. */
export function turnOnApi({ key }: About, consumer: string | undefined): string {
  return `Turn the Cloud KMS API on, and wait a few minutes: gcloud services enable cloudkms.googleapis.com --project=${consumer ?? key.project}`;
}

export function linkBilling({ key }: About, consumer: string | undefined): string {
  return `Link the project to a billing account that is open: gcloud billing projects link ${consumer ?? key.project} --billing-account=ACCOUNT_ID`;
}

export function openPerimeter({ key }: About): string {
  return `Let this service into the VPC Service Controls perimeter of project ${key.project} by an ingress rule or an access level; the log line's identifier (vpcServiceControlsUniqueIdentifier) finds the denial in the VPC Service Controls troubleshooter: gcloud access-context-manager perimeters list --policy=POLICY`;
}

export function widenScopes(): string {
  return "The machine's access scopes do not let its service account call Cloud KMS: stop the instance, then gcloud compute instances set-service-account INSTANCE --zone=ZONE --scopes=cloud-platform";
}

export function allowQuotaProject({ key }: About): string {
  return `The credentials name a quota project (quota_project_id, or GOOGLE_CLOUD_QUOTA_PROJECT) that they may not use: gcloud projects add-iam-policy-binding QUOTA_PROJECT --member=${member} --role=roles/serviceusage.serviceUsageConsumer, or name ${key.project}`;
}

export function raiseQuota({ key }: About): string {
  return `The quota of Cloud KMS requests is used up: see which, and ask for more, under IAM & Admin > Quotas of project ${key.project}, or warm fewer keys (kms.cache.warm) and keep them longer (kms.cache.ttl)`;
}

export function giveCredentials(): string {
  return "Credentials are those of the file in gcp.kms.credentials-file, else application default credentials: the file in GOOGLE_APPLICATION_CREDENTIALS, on a developer's machine those of gcloud auth application-default login, on Google Cloud the attached service account, in GKE by Workload Identity Federation";
}

export function renewCredentials(): string {
  return "Google does not take these credentials: the service account or its key may be disabled or deleted (gcloud iam service-accounts keys list --iam-account=SERVICE_ACCOUNT_EMAIL), a user's login revoked (gcloud auth application-default login), or this machine's clock wrong (timedatectl set-ntp true)";
}

export function nameEndpoint(): string {
  return "Correct gcp.kms.endpoint, or leave it out: a redirect is not followed, as the token would go where it says";
}

export function lookAtExternal({ key }: About): string {
  return `The key is in an external key manager: see that it answers and that it lets Cloud KMS use the key, then ${keyCommand("versions list", key, `--key=${key.id}`)}; https://cloud.google.com/kms/docs/reference/ekm_errors says what each error means`;
}

function versions(verb: string, about: About): string {
  return keyCommand(`versions ${verb}`, about.key, `${version(about)} --key=${about.key.id}`);
}

function keyCommand(command: string, { project, location, keyRing }: GcpKey, words: string): string {
  const place = `--keyring=${keyRing} --location=${location} --project=${project}`;
  return `gcloud kms keys ${command} ${words === "" ? "" : `${words} `}${place}`;
}

export function trustCertificate(code: string): string {
  return `A proxy or private endpoint shows a certificate that is not trusted here (${code}): give the PEM file of its authority in NODE_EXTRA_CA_CERTS, and in gcp.kms.endpoint a name that the certificate holds.`;
}
