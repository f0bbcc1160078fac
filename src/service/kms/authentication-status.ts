/** What Status says of callers and of how they prove who they are. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type AuthenticationStatus,
  AuthenticationStatusSchema,
  type PolicyStatus,
  PolicyStatusSchema,
} from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";

export interface AuthenticationParts {
  kind: string;
  /** Undefined where nobody is authenticated. */
  policy: { status(): PolicySeen; seen: CallersCounted } | undefined;
  /** Undefined without TLS. */
  tls: { expiresAt(): Date } | undefined;
}

export interface PolicySeen {
  sha256: string;
  since: Date;
  rules: number;
  reloadFailures: number;
  problems: readonly string[];
  separation: boolean;
  twoPersonDestruction: boolean;
  issuers: readonly { name: string; keys: number; ageMs: number | undefined; problem: string | undefined }[];
  crlUntilMs: number | undefined;
}

export interface CallersCounted {
  identities(): readonly { kind: string; count: number }[];
  refusals(): readonly { kind: string; code: string; count: number }[];
}

export function authenticationStatus({ kind, policy, tls }: AuthenticationParts): AuthenticationStatus {
  return create(AuthenticationStatusSchema, {
    kind,
    ...(policy && {
      policy: policyStatus(policy.status()),
      identities: [...policy.seen.identities()],
      refusals: policy.seen.refusals().map(({ kind, code, count }) => ({ kind, reason: code, count: BigInt(count) })),
    }),
    ...(tls && { certificateExpiresAt: timestampFromDate(tls.expiresAt()) }),
  });
}

function policyStatus({ since, reloadFailures, problems, issuers, crlUntilMs, ...policy }: PolicySeen): PolicyStatus {
  const { sha256, rules, separation, twoPersonDestruction } = policy;
  return create(PolicyStatusSchema, {
    sha256,
    rules,
    separation,
    twoPersonDestruction,
    problems: [...problems],
    loadedAt: timestampFromDate(since),
    reloadFailures: BigInt(reloadFailures),
    issuers: issuers.map(({ name, keys, ageMs, problem = "" }) => ({
      name,
      keys,
      problem,
      ...(ageMs !== undefined && { age: durationFromMs(Math.round(ageMs)) }),
    })),
    ...(crlUntilMs !== undefined && { crlNextUpdate: timestampFromDate(new Date(crlUntilMs)) }),
  });
}
