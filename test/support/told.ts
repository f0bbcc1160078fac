/** What callers are told on both ports: by gRPC, and by Connect over HTTP. */

export interface Told {
  code: string;
  reason: string | undefined;
  message: string;
}

/** What a caller is told on either port. */
export interface ToldTwice {
  grpc: Told;
  http: Told & { status: number; challenge: string | undefined; connection: string | undefined };
}

export const accepted: ToldTwice = {
  grpc: { code: "OK", reason: undefined, message: "" },
  http: { code: "OK", reason: undefined, message: "", status: 200, challenge: undefined, connection: undefined },
};

const statuses: Readonly<Record<string, number>> = { UNAUTHENTICATED: 401, PERMISSION_DENIED: 403, UNAVAILABLE: 503 };

/** What a caller is told whom the door refuses. */
export function refusedAtDoor(reason: string, message: string): ToldTwice {
  const code = { CREDENTIAL_EXPIRED: "UNAUTHENTICATED", ISSUER_UNAVAILABLE: "UNAVAILABLE" }[reason] ?? reason;
  const told = { code, reason, message };
  const status = statuses[code]!;
  return {
    grpc: told,
    http: { ...told, status, challenge: status === 401 ? "Bearer" : undefined, connection: "close" },
  };
}

export const notAccepted = refusedAtDoor("UNAUTHENTICATED", "the token is not accepted");
export const noCredential = refusedAtDoor("UNAUTHENTICATED", "no credential");
export const expired = refusedAtDoor("CREDENTIAL_EXPIRED", "the token has expired");
export const certificateExpired = refusedAtDoor(
  "CREDENTIAL_EXPIRED",
  "the client certificate has expired: connect again",
);
export const certificateRefused = refusedAtDoor("UNAUTHENTICATED", "the client certificate is not accepted");
export const unavailable = refusedAtDoor("ISSUER_UNAVAILABLE", "the issuer's keys cannot be had now");
export const unnamed = refusedAtDoor("PERMISSION_DENIED", "no rule names this caller");

/** What a caller is told who is known, and may not do this. */
export function denied(role: string, where = "for this tenant"): ToldTwice {
  const told = {
    code: "PERMISSION_DENIED",
    reason: "PERMISSION_DENIED",
    message: `the caller may not ${role} ${where}`,
  };
  return { grpc: told, http: { ...told, status: 403, challenge: undefined, connection: undefined } };
}

/** What a caller is told by the handler. */
export function refusedBy(reason: string, message: string, code = reason, status = 400): ToldTwice {
  const told = { code, reason, message };
  return { grpc: told, http: { ...told, status, challenge: undefined, connection: undefined } };
}
