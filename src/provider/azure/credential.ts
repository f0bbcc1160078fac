/**
 * Tokens of the SDK's default chain of credentials: environment, workload identity, managed identity, the tools of developers.
 *
 * What a failure means is told by what the authority last answered, as the SDK has one error for a refusal and for a cable that is out.
 */
import { type AccessToken, DefaultAzureCredential, type GetTokenOptions } from "@azure/identity";
import { KmsError } from "../../errors.ts";
import { withDeadline } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";
import { wordsIn } from "../redact.ts";
import * as advice from "./advice.ts";
import { type AzureConnection, type Exchange, isSecure, watched } from "./connection.ts";
import { unreachable } from "./errors.ts";

export interface TokenSettings {
  connection: AzureConnection;
  time: Time;
  /** `azure.instance-discovery` */
  instanceDiscovery: boolean;
}

export interface CredentialChain {
  /** `hadToken`: whether there were credentials before, so that what is missing now comes back. Throws a KmsError and nothing else. */
  fetch(scopes: string[], options: GetTokenOptions, hadToken: () => boolean): Promise<AccessToken>;
  /** Drops the credential with all that it keeps. */
  forget(): void;
}

const fetchTimeoutMs = 10_000;
/** RFC 6749, 4.1.2.1 and 5.2: what is not a refusal of who asks. */
const passing: ReadonlySet<string> = new Set([
  "temporarily_unavailable",
  "server_error",
  "authorization_pending",
  "slow_down",
]);

export function credentialChain({ connection, time, instanceDiscovery }: TokenSettings): CredentialChain {
  let credential: DefaultAzureCredential | undefined;
  let seen: Exchange | undefined;

  function noteExchange(exchange: Exchange): void {
    // A plain http address is that of the machine's own metadata service, which is mostly not there.
    if (isSecure(exchange.url) || exchange.status !== undefined) seen = exchange;
  }

  return {
    async fetch(scopes, { claims, tenantId }, hadToken) {
      seen = undefined;
      const options = { ...(claims && { claims }), ...(tenantId && { tenantId }) };
      const late = () => unavailable("the provider's authority did not answer in time");
      try {
        credential ??= new DefaultAzureCredential({
          ...connection.options(),
          disableInstanceDiscovery: !instanceDiscovery,
        });
        const source = credential;
        const token = await withDeadline(time, fetchTimeoutMs, late, (abortSignal) =>
          watched(noteExchange, () => source.getToken(scopes, { ...options, abortSignal })),
        );
        if (typeof token?.token !== "string") throw new Error("a token without a text");
        return token;
      } catch (error) {
        throw error instanceof KmsError ? error : failureOf(error, seen, hadToken());
      }
    },
    forget() {
      credential = undefined;
    },
  };
}

/** `seen` is the last exchange with the authority. */
function failureOf(thrown: unknown, seen: Exchange | undefined, hadToken: boolean): KmsError {
  const { name, message } = Object(thrown) as { name?: unknown; message?: unknown };
  const cause = Object.assign(new Error(wordsIn(String(message).replaceAll(/\s+/g, " "))), {
    name: wordsIn(String(name)),
  });
  const { status, error, failure } = seen ?? {};
  if (failure !== undefined) {
    return unreachable(failure, { who: "the provider's authority", unknownName: advice.nameAuthority() });
  }
  if (status === undefined) {
    const what = "there are no credentials for the provider";
    return hadToken ? unavailable(what, cause) : denied(what, cause, advice.giveCredentials());
  }
  if (status === 429 || status >= 500 || error === undefined || passing.has(error)) {
    return unavailable("the provider's authority cannot answer now", cause);
  }
  if (error === "invalid_instance") {
    return denied("the provider's authority is not known", cause, advice.nameAuthority());
  }
  const what = "the provider's authority does not accept this service's credentials";
  return denied(what, cause, advice.giveCredentials());
}

function denied(message: string, cause: unknown, what: string): KmsError {
  return new KmsError("PROVIDER_DENIED", message, { cause, advice: what });
}

/** Also of credentials that were good before: what makes new ones is away. */
function unavailable(message: string, cause?: unknown): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", message, { cause, advice: advice.giveCredentials() });
}
