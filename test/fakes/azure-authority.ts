/**
 * The authority that gives tokens, Microsoft Entra ID, as far as a client with a secret or a federated token asks it:
 * learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow, v2-protocols-oidc
 */
import { randomBytes } from "node:crypto";

export const tenant = "11111111-2222-3333-4444-555555555555";
export const clientId = "66666666-7777-8888-9999-000000000000";
export const clientSecret = "secret-of-the-client";
export const federatedToken = "federated-token-of-the-service-account";

/** What may ask for a token of the vault: learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses */
const scope = "https://vault.azure.net/.default";

export interface AuthorityAnswer {
  status: number;
  body: Record<string, unknown>;
}

export function openIdConfiguration(url: string): AuthorityAnswer {
  const base = `${url}/${tenant}`;
  return {
    status: 200,
    body: {
      issuer: `${base}/v2.0`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      token_endpoint: `${base}/oauth2/v2.0/token`,
      jwks_uri: `${base}/discovery/v2.0/keys`,
    },
  };
}

/** `take` keeps the token as one that the vault accepts. */
export function tokenAnswer(form: URLSearchParams, seconds: number, take: (token: string) => void): AuthorityAnswer {
  const isKnown =
    form.get("client_secret") === clientSecret ||
    (form.get("client_assertion") === federatedToken &&
      form.get("client_assertion_type") === "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
  if (form.get("client_id") !== clientId || form.get("grant_type") !== "client_credentials") {
    return refusal(400, "unauthorized_client", 700016, "Application was not found in the directory.");
  }
  if (!isKnown) return refusal(401, "invalid_client", 7000215, "Invalid client secret provided.");
  if (form.get("scope")?.split(" ").includes(scope) !== true) {
    return refusal(400, "invalid_scope", 70011, "The provided value for the input parameter 'scope' is not valid.");
  }
  const token = randomBytes(32).toString("base64url");
  take(token);
  return {
    status: 200,
    body: { token_type: "Bearer", expires_in: seconds, ext_expires_in: seconds, access_token: token },
  };
}

/** learn.microsoft.com/entra/identity-platform/reference-error-codes */
function refusal(status: number, error: string, code: number, text: string): AuthorityAnswer {
  const description = `AADSTS${code}: ${text} Trace ID: 0 Correlation ID: 0`;
  return { status, body: { error, error_description: description, error_codes: [code] } };
}
