/** What the Helm chart says of a rollout, read from its rendering that is committed. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { documents, only, type Rendered, servicePod } from "../chart/helm-chart.ts";

export interface Probe {
  path: string;
  periodMs: number;
  timeoutMs: number;
  failures: number;
}

export interface Rules {
  replicas: number;
  startup: Probe;
  readiness: Probe;
  minReadyMs: number;
  shutdownDelayMs: number;
  /** Whether the Service for callers of HTTP has the addresses of pods that are not ready, or that end. */
  publishesNotReady: boolean;
}

/** Kubernetes' own, if a probe gives none. */
const standardTimeoutSeconds = 1;

/** Periods are of `scale`; time-outs are as they are, as the machine is no faster. */
export function chartRules(scale: number): Rules {
  const rendered = documents(readFileSync(join(import.meta.dirname, "..", "chart", "golden", "postgres.yaml"), "utf8"));
  const { minReadySeconds, strategy } = only(rendered, "Deployment").spec;
  const { maxUnavailable, maxSurge } = strategy.rollingUpdate;
  if (maxUnavailable !== 0 || maxSurge !== 1) throw new Error("the chart's strategy is not the one that is imitated");
  const [container] = servicePod(rendered).spec.containers;
  const properties = only(rendered, "ConfigMap", "kms-fluo-kms").data["application.properties"];
  const [, delaySeconds] = /^fluo\.kms\.shutdown\.delay=(\d+)s$/m.exec(properties)!;
  const probe = ({ httpGet, periodSeconds, timeoutSeconds, failureThreshold }: Rendered): Probe => ({
    path: httpGet.path,
    periodMs: periodSeconds * 1_000 * scale,
    timeoutMs: (timeoutSeconds ?? standardTimeoutSeconds) * 1_000,
    failures: failureThreshold,
  });
  return {
    replicas: 2,
    startup: probe(container.startupProbe),
    readiness: probe(container.readinessProbe),
    minReadyMs: minReadySeconds * 1_000 * scale,
    shutdownDelayMs: Number(delaySeconds) * 1_000 * scale,
    publishesNotReady: only(rendered, "Service", "kms-fluo-kms-http").spec.publishNotReadyAddresses === true,
  };
}
