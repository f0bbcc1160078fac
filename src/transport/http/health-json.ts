/** Health in the shape of MicroProfile Health, which FLUO's operators read with jq. */
import type { HealthReport } from "../../health/monitor.ts";

export function healthJson(report: HealthReport, provider: string, live: boolean) {
  if (live) return { body: { status: "UP", checks: [{ name: "kms", status: "UP" }] } };
  const status = report.status === "down" ? "DOWN" : "UP";
  const data = { provider, latency_ms: Math.round(report.latencyMs), status: report.status };
  return { status: status === "UP" ? 200 : 503, body: { status, checks: [{ name: "kms", status, data }] } };
}
