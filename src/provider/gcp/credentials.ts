/**
 * An access token by google-auth-library, and by its rules: from a service account's key, a user's login, workload identity federation,
 * impersonation or the metadata server. https://cloud.google.com/docs/authentication/application-default-credentials
 *
 * The library retries by itself, has no deadline for most of what it asks, and waits for ever behind a request that once hung. So each
 * token comes from a client of its own, all of whose requests end with one signal, and which is then forgotten; that reads files anew too.
 */
import { type AuthClient, GoogleAuth, gaxios, gcpMetadata } from "google-auth-library";
import { invalidField } from "../../errors.ts";
import { abandonOn } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";

export interface CredentialSource {
  /** Absolute path; application default credentials where there is none. */
  file: string | undefined;
  /** Of the key. The library would run gcloud, and ask the metadata server, to find one. */
  project: string;
  /** The only universe whose credentials may be sent; any where there is none. https://cloud.google.com/docs/get-started/universe-domain */
  universe: string | undefined;
}

export interface GcpToken {
  /** `authorization`, and `x-goog-user-project` where the credentials name a quota project. */
  headers: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  expiresAtMs: number;
}

const scope = "https://www.googleapis.com/auth/cloudkms";
/** Of a token without a date. */
const assumedLifeMs = 300_000;

/** Throws what the library throws, and whatever it does no later than `signal` aborts. */
export async function newToken(source: CredentialSource, time: Time, signal: AbortSignal): Promise<GcpToken> {
  return abandonOn(signal, tokenFrom(source, time, signal));
}

async function tokenFrom(
  { file, project, universe }: CredentialSource,
  time: Time,
  signal: AbortSignal,
): Promise<GcpToken> {
  const limits = { retryConfig: { retry: 0 }, redirect: "error", signal } as const;
  gaxios.instance.defaults = limits; // the metadata server is asked through this one, whoever's the client
  gcpMetadata.resetIsAvailableCache(); // one that was not there may be by now
  const clientOptions = { transporterOptions: limits };
  const auth = new GoogleAuth({ scopes: [scope], projectId: project, clientOptions });
  const client = await (file === undefined
    ? auth.getClient()
    : auth._getApplicationCredentialsFromFilePath(file, clientOptions)); // as the library reads any file, of whatever type
  if (universe !== undefined && client.universeDomain !== universe) {
    throw invalidField("gcp.kms.endpoint", `is missing, and the credentials are of ${client.universeDomain}`);
  }
  for (const transporter of othersOf(client)) transporter.defaults = { ...transporter.defaults, ...limits };
  const headers = Object.fromEntries(await client.getRequestHeaders().catch(withoutWords));
  const { authorization = "" } = headers;
  if (!/^Bearer (?!undefined$|null$)[\x21-\x7e]{1,16384}$/.test(authorization)) throw new NoToken();
  return { headers, expiresAtMs: expiryOf(client, time) };
}

/** A source of tokens answered, and without one. */
export class NoToken extends Error {}

/** The library stumbles over an answer that is not what it should be, as a proxy's page, and quotes it. */
function withoutWords(error: unknown): never {
  throw error instanceof TypeError || error instanceof RangeError ? new NoToken() : error;
}

/** The clients inside a client, which do not get its options: who asks the token service, and whose token is exchanged for another. */
function othersOf(client: AuthClient): gaxios.Gaxios[] {
  const { stsCredential, sourceClient } = client as AuthClient & {
    stsCredential?: { transporter?: gaxios.Gaxios };
    sourceClient?: AuthClient;
  };
  return [
    ...(stsCredential?.transporter === undefined ? [] : [stsCredential.transporter]),
    ...(sourceClient === undefined ? [] : [sourceClient.transporter, ...othersOf(sourceClient)]),
  ];
}

function expiryOf({ credentials: { expiry_date: date } }: AuthClient, time: Time): number {
  return typeof date === "number" && date > 1 ? date : time.now().getTime() + assumedLifeMs;
}
