/** The door under a policy: certificates of connections and tokens of requests to callers whom some rule names. */
import type { TLSSocket } from "node:tls";
import type { PolicyCaller } from "../auth/caller.ts";
import { type Authenticator, checkKnown, type Connection } from "../auth/authenticator.ts";
import type { CallerCounts } from "../auth/caller-counts.ts";
import { presentedBy } from "../auth/certificate/peer.ts";
import { andThen } from "../call/maybe-promise.ts";
import type { FailureLimit } from "../limits/failures.ts";
import type { Time } from "../runtime/time.ts";
import { type Door, kindShown, type Open, type Peering } from "./authenticate.ts";

interface PolicyPeering extends Peering {
  readonly connection: Connection;
}

export interface PolicyDoorParts {
  authenticator: Authenticator;
  seen: CallerCounts;
  /** Told of callers whom no rule names. */
  failures?: Pick<FailureLimit, "failed"> | undefined;
  open: readonly Open[];
  /** Age at which a connection is closed, give or take a tenth, so that those of one moment do not all come back in another. */
  connectionMaxAgeMs: number;
  time: Time;
  /** As {@link Door.policySha256}. */
  policySha256(): string;
  /** As {@link Door.subscribe}. */
  subscribe(changed: () => void): void;
}

/** Time before a certificate's end at which its connection is closed. */
export const renewMs = 30_000;
/** Time that streams have after a connection's greatest age. */
export const graceMs = 300_000;

export function policyDoor(parts: PolicyDoorParts): Door<PolicyPeering> {
  const { authenticator, seen, failures, open, connectionMaxAgeMs, time, policySha256, subscribe } = parts;
  const { authenticate, demandsToken, peerOf } = authenticator;
  const named = (caller: PolicyCaller, { address }: Connection) => {
    if (caller.grants().length === 0) failures?.failed(address);
    return caller;
  };
  const known = (caller: PolicyCaller, connection: Connection) => {
    checkKnown(named(caller, connection));
    seen.named(caller);
    return caller;
  };
  return {
    connect(socket) {
      const { remoteAddress = "" } = socket as TLSSocket;
      const oldMs = time.now().getTime() + connectionMaxAgeMs * (0.9 + 0.2 * Math.random());
      const connection = authenticator.connect(presentedBy(socket as TLSSocket), remoteAddress, oldMs + graceMs);
      let wasAccepted = false;
      const peer = () => {
        const now = peerOf(connection);
        wasAccepted ||= now !== undefined && "identity" in now;
        return now;
      };
      peer(); // or one that loses its authority before its first call would not be known to have had it
      return {
        connection,
        closesMs() {
          const now = peer();
          return now && "identity" in now ? Math.min(now.untilMs - renewMs, oldMs) : oldMs;
        },
        hasCertificate: () => peer() !== undefined,
        isKnown() {
          const now = peer();
          if (now === undefined || !("identity" in now) || demandsToken(connection)) return false;
          // A certificate alone is known at once.
          return isNamed(authenticate(connection, []) as PolicyCaller);
        },
        isRefused() {
          const now = peer();
          return now !== undefined && "refused" in now;
        },
        about() {
          const leaf = connection.presented?.leaf;
          const certificate = leaf && { certificate_sha256: leaf.fingerprint256.replaceAll(":", "").toLowerCase() };
          return { address: remoteAddress, ...certificate, ...(leaf && { serial: leaf.serialNumber }) };
        },
        hasLost: () => !("identity" in (peer() ?? {})) && wasAccepted,
      };
    },
    enter({ connection }, authorization) {
      return andThen(authenticate(connection, authorization), (caller) => known(caller, connection));
    },
    identify({ connection }, authorization) {
      return andThen(authenticate(connection, authorization), (caller) => named(caller, connection));
    },
    count(peering, authorization, refused) {
      const kind = kindShown(peering, authorization);
      if (refused === undefined) seen.accepted(kind);
      else seen.refused(kind, refused);
    },
    isOpen: (what) => open.includes(what),
    policySha256,
    subscribe,
  };
}

function isNamed(caller: PolicyCaller): boolean {
  return caller.grants().length > 0;
}
