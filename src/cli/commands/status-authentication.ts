/** What `status` prints of callers and of how they prove who they are; nothing of a service that authenticates nobody. */
import { countsText } from "../print.ts";

export interface AuthenticationStatus {
  kind: string;
  policy?: PolicyStatus;
  identities?: Record<string, number>;
  refusals?: { kind: string; reason: string; count: number }[];
  certificate_expires_at?: string | null;
}

interface PolicyStatus {
  sha256: string;
  loaded_at: string;
  rules: number;
  reload_failures: number;
  problems: string[];
  separation: boolean;
  two_person_destruction: boolean;
  issuers: { name: string; keys: number; problem: string; age_seconds: number | null }[];
  crl_next_update: string | null;
}

export function authenticationRows(authentication: AuthenticationStatus): string[][] {
  const { policy, identities = {}, refusals = [], certificate_expires_at } = authentication;
  if (policy === undefined) return [];
  const refused = refusals.map(({ kind, reason, count }) => `${count} ${kind} ${reason}`);
  return [
    ["policy", policyText(policy)],
    ["identities", countsText(identities)],
    ["refused", refused.length === 0 ? "none" : refused.join(", ")],
    ...policy.issuers.map((issuer) => [`issuer ${issuer.name}`, issuerText(issuer)]),
    ...(certificate_expires_at ? [["certificate", `ends ${certificate_expires_at}`]] : []),
    ...(policy.crl_next_update ? [["revocation", `lists are good until ${policy.crl_next_update}`]] : []),
  ];
}

function policyText(policy: PolicyStatus): string {
  const { sha256, loaded_at, rules, reload_failures, separation, two_person_destruction } = policy;
  return [
    `${rules} rule${rules === 1 ? "" : "s"} since ${loaded_at}`,
    `separation ${separation ? "on" : "off"}`,
    `destruction by ${two_person_destruction ? "two" : "one"}`,
    ...(reload_failures === 0 ? [] : [`${reload_failures} reload${reload_failures === 1 ? "" : "s"} failed`]),
    `SHA-256 ${sha256}`,
  ].join(", ");
}

function issuerText({ keys, problem, age_seconds }: PolicyStatus["issuers"][number]): string {
  const loaded =
    age_seconds === null ? "no keys yet" : `${keys} key${keys === 1 ? "" : "s"}, ${Math.round(age_seconds)} s old`;
  return problem === "" ? loaded : `${loaded}; they cannot be had: ${problem}`;
}
