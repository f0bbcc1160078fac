/** Access to both ports: limits on callers and connections, the policy that callers are known by, and TLS. */
import type { Logger } from "pino";
import type { Authentication, AuthenticationParts, AuthenticationSettings } from "../auth/start.ts";
import type { ConnectionSettings } from "../limits/connection-settings.ts";
import { createLimitLog, type LimitLog } from "../limits/log.ts";
import { limitNotices } from "../limits/notices.ts";
import type { Notice } from "../notices.ts";
import type { Door, Open } from "./authenticate.ts";
import { type Budget, createBudget } from "./budget.ts";
import { closingOf } from "./connections/closing.ts";
import { type Connections, createConnections } from "./connections/connections.ts";
import { policyDoor } from "./policy-door.ts";
import { startTls, type Tls, type TlsFiles } from "./tls.ts";

export interface AccessSettings extends Omit<AuthenticationSettings, "policyFile"> {
  /** Undefined if nobody is authenticated. */
  readonly policyFile: string | undefined;
  readonly tls: TlsFiles | undefined;
  readonly connections: ConnectionSettings;
  readonly connectionMaxAgeMs: number;
  readonly open: readonly Open[];
}

export interface AccessParts extends Omit<AuthenticationParts, "limitLog"> {
  log: Logger;
}

export interface Access {
  limitLog: LimitLog;
  connections: Connections;
  /** Bytes of requests of both ports together. */
  budget: Budget;
  /** Undefined if nobody is authenticated, and so is {@link door}. */
  policy: Authentication | undefined;
  door: Door | undefined;
  tls: Tls | undefined;
  remarks(): Notice[];
  /** Rereads the policy and the service's own certificate, if there are any. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

export async function startAccess(settings: AccessSettings, parts: AccessParts): Promise<Access> {
  const { log, time, alarm } = parts;
  const limitLog = createLimitLog({
    log: (line) => log.warn(line, "a limit acted"),
    changed: alarm.changed,
    now: time.monotonicMs,
  });
  await using started = new AsyncDisposableStack();
  const connections = started.adopt(
    createConnections({
      settings: settings.connections,
      acted: (...closed) => limitLog.acted(...closingOf(...closed)),
      time,
    }),
    (each) => each.close(),
  );
  const policy = await startPolicy(settings, { ...parts, limitLog });
  started.defer(() => policy?.close());
  const authorities = policy?.inForce();
  const tls = settings.tls && startTls({ files: settings.tls, authorities, log, time, changed: alarm.changed });
  started.defer(() => tls?.close());
  if (tls) policy?.trustBy(tls.trust);
  const all = started.move();
  return {
    limitLog,
    connections,
    budget: createBudget(time),
    policy,
    door: policy && policyDoor({ ...policy, ...settings, time, policySha256: () => policy.inForce().sha256 }),
    tls,
    remarks: () => [
      ...limitNotices(limitLog.recent()),
      ...(policy?.remarks() ?? []),
      ...(tls?.remarks(time.now()) ?? []),
    ],
    async reload() {
      await Promise.all([policy?.reload(), tls?.reload()]);
    },
    close: () => all.disposeAsync(),
  };
}

/** Loads the code for policies and tokens only if there is a policy, so that a service without one starts sooner. */
async function startPolicy({ policyFile, ...settings }: AccessSettings, parts: AuthenticationParts) {
  if (policyFile === undefined) return undefined;
  const { startAuthentication } = await import("../auth/start.ts");
  return startAuthentication({ ...settings, policyFile }, parts);
}
