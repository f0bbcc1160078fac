/** Events over all panels: replicas that started, by version, and rotations. */
import { datasource } from "./grafana.ts";
import { max, query, series } from "./promql.ts";

const starts = `${series("process_start_time_seconds")} * on (cluster, namespace, job, instance) group_left (version) ${series("kms_build_info")}`;

/** Marks each time that a query's series have, in milliseconds, as their values. */
function annotation(name: string, color: string, vector: string, title: string) {
  const { expr, legend } = query(`${vector} * 1000`, title);
  return {
    name,
    datasource,
    enable: true,
    iconColor: color,
    expr,
    titleFormat: legend,
    step: "60s",
    useValueForTime: true,
  };
}

export const annotations = [
  annotation("Deploys", "blue", max(starts, "instance", "version"), "{{version}} started on {{instance}}"),
  annotation("Rotations", "green", max(series("kms_last_rotation_timestamp_seconds")), "a key was rotated"),
];
