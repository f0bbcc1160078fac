/** What a command shows a running service: options before environment, read anew at each call, as files are renewed meanwhile. */
import { clientEnvironment } from "../../config/client-environment.ts";
import type { Option, OptionValues } from "../command.ts";
import { type ServiceTls, tlsFor, tlsOptions } from "./tls.ts";
import { type Place, type ServiceToken, tokenFor, tokenOption } from "./token.ts";

export interface Credentials {
  token: ServiceToken | undefined;
  tls: ServiceTls;
}

/** Reads what is shown now. Throws UsageError that says which file is wrong, and how. */
export type ReadCredentials = () => Credentials;

export const credentialOptions: readonly Option[] = [tokenOption, ...tlsOptions];

const noTls: ServiceTls = { ca: undefined, certificate: undefined };

/** Shows nothing, whatever the environment holds. */
export const noCredentials: ReadCredentials = () => ({ token: undefined, tls: noTls });

/** Where there is no TLS, its files are not looked at; a local socket is shown nothing at all. */
export function credentialsFor(options: OptionValues, place: Place, env = clientEnvironment()): ReadCredentials {
  if (place.socket !== undefined) return noCredentials;
  return () => ({ token: tokenFor(options, place, env), tls: place.isTls ? tlsFor(options, env) : noTls });
}

/** What to do about a refusal of the caller, by the words of the service, which are few and do not change; undefined for others. */
export function adviceOn(message: string, { token, tls: { certificate } }: Credentials): string | undefined {
  const [ofToken, ofCertificate] = [token?.from ?? "no --token-file", certificate?.from ?? "no --client-cert"];
  const explain = "the service's log says why, and fluo-kms policy explain tries what the policy makes of it";
  switch (message) {
    case "no credential":
      return certificate === undefined
        ? "give a token by --token-file, or a certificate by --client-cert and --client-key over https://"
        : `the service asks for no certificate such as ${certificate.from}; its policy or its HTTP port has none, so give a token by --token-file`;
    case "the token is not accepted":
      return `it is that of ${ofToken}; ${explain}`;
    case "the token has expired":
      return `put a new one where it was found: ${ofToken}`;
    case "the client certificate is not accepted":
      return `it is that of ${ofCertificate}; ${explain}`;
    case "this client certificate counts only with a token":
      return `a rule of the policy demands it, so give a token by --token-file beside ${ofCertificate}`;
    case "the client certificate has expired: connect again":
      return `put a new one where it was found: ${ofCertificate}`;
    case "no rule names this caller":
      return "fluo-kms whoami says who that is: the policy needs a rule for it";
    case "the issuer's keys cannot be had now":
      return "the service cannot reach the token's issuer; its log says why";
  }
  const [, role, where] = /^the caller may not (\S+) for (this tenant|all tenants)$/.exec(message) ?? [];
  if (role === undefined) return undefined;
  return `it lacks the role ${role} for ${where}; fluo-kms whoami says what it has, and fluo-kms policy explain why`;
}
