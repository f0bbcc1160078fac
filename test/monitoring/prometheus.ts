/**
 * A Prometheus of the test's own, on a free loopback port and a temporary folder, that looks at its targets and evaluates its rules every
 * second. Targets come and go while it runs. Clusters are apart in every rule, so one Prometheus serves many tests at once.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { hungMs } from "../support/hung.ts";

const programs = join(import.meta.dirname, "..", "..", "tools", "prometheus", "usr", "bin");
export const job = "fluo-kms";
export const namespace = "kms";

/** What Prometheus looks at. */
export interface Target {
  /** `http://host:port` or https, whose certificate is not verified. */
  url: string;
  cluster: string;
  /** `host:port` of the URL unless told otherwise. */
  instance?: string;
  /** `/q/metrics` unless told otherwise. */
  path?: string;
}

export type Labels = Readonly<Record<string, string>>;

/** One series at one moment. */
export interface Sample {
  labels: Labels;
  value: number;
}

export interface Alert {
  name: string;
  state: "pending" | "firing";
  labels: Labels;
}

export interface Rule {
  name: string;
  type: "alerting" | "recording";
  query: string;
  health: string;
  /** Why it is not well. */
  lastError: string | undefined;
}

export interface Prometheus {
  url: string;
  /** Looks at these too, from within a second on. */
  add(...targets: readonly Target[]): void;
  /** Looks at them no more. Their series end. */
  remove(...targets: readonly Target[]): void;
  /** An instant query; a scalar is one sample without labels. Throws where Prometheus answers with an error. */
  query(expression: string, at?: Date): Promise<readonly Sample[]>;
  /** Resolves with what a query finds once that is anything; rejects, with the query, after `withinMs`. */
  until(expression: string, withinMs?: number): Promise<readonly Sample[]>;
  alerts(): Promise<readonly Alert[]>;
  rules(): Promise<readonly Rule[]>;
  /** What went wrong with the last look at each target, by its URL; empty where nothing did. */
  targets(): Promise<Readonly<Record<string, string>>>;
  end(): Promise<void>;
}

export interface PrometheusOptions {
  /** Paths of files of rules. */
  rules?: readonly string[];
  /** `host:port` of an Alertmanager that is told of alerts. */
  alertmanager?: string;
  /** Shown to every target. */
  token?: string;
  /** Whether targets tell their own `job` and `instance`, as a Collector does. */
  honorLabels?: boolean;
}

interface Answer {
  status: "success" | "error";
  error?: string;
  // biome-ignore lint/suspicious/noExplicitAny: each path of the API has its own form.
  data: any;
}

export async function startPrometheus({
  rules = [],
  alertmanager,
  token,
  honorLabels = false,
}: PrometheusOptions = {}): Promise<Prometheus> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-prometheus-"));
  const file = (name: string, content: unknown) => {
    const path = join(dir, name);
    writeFileSync(`${path}.new`, typeof content === "string" ? content : JSON.stringify(content), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return path;
  };
  const targetsFile = file("targets.json", []);
  const config = file("prometheus.yml", {
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: rules,
    ...(alertmanager !== undefined && {
      alerting: { alertmanagers: [{ static_configs: [{ targets: [alertmanager] }] }] },
    }),
    scrape_configs: [
      {
        job_name: job,
        honor_labels: honorLabels,
        metrics_path: "/q/metrics",
        tls_config: { insecure_skip_verify: true },
        ...(token !== undefined && { authorization: { credentials_file: file("token", token) } }),
        file_sd_configs: [{ files: [targetsFile], refresh_interval: "1s" }],
      },
    ],
  });
  const { child, url } = await listening([
    ...[`--config.file=${config}`, `--storage.tsdb.path=${join(dir, "data")}`, "--web.listen-address=127.0.0.1:0"],
  ]);
  const end = () => {
    child.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  };
  process.once("exit", end);
  const targets = new Set<string>();
  const write = () => file("targets.json", [...targets].map(discovered));
  const asked = asking(url);
  return {
    url,
    add(...more) {
      for (const each of more) targets.add(JSON.stringify(each));
      write();
    },
    remove(...gone) {
      for (const each of gone) targets.delete(JSON.stringify(each));
      write();
    },
    ...asked,
    async until(expression, withinMs = hungMs) {
      const endsAt = performance.now() + withinMs;
      for (;;) {
        const found = await asked.query(expression);
        if (found.length > 0) return found;
        if (performance.now() > endsAt) throw new Error(`nothing in ${withinMs} ms: ${expression}`);
        await delay(250);
      }
    },
    async end() {
      process.off("exit", end);
      const ended = once(child, "close");
      child.kill("SIGTERM");
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A line of service discovery. */
function discovered(target: string): object {
  const { url, cluster, instance, path = "/q/metrics" } = JSON.parse(target) as Target;
  const { protocol, host } = new URL(url);
  return {
    targets: [host],
    labels: {
      cluster,
      namespace,
      __scheme__: protocol.slice(0, -1),
      __metrics_path__: path,
      ...(instance !== undefined && { instance }),
    },
  };
}

/** Resolves when it answers queries. */
async function listening(args: readonly string[]) {
  const child = spawn(join(programs, "prometheus"), args, { stdio: ["ignore", "ignore", "pipe"] });
  let [said, address, isReady] = ["", "", false];
  const lines = createInterface({ input: child.stderr });
  const ready = new Promise<void>((resolve, reject) => {
    lines.on("line", (line) => {
      said = `${said}${line}\n`.slice(-10_000);
      address ||= /msg="Listening on" address=(\S+)/.exec(line)?.[1] ?? "";
      isReady ||= line.includes("Server is ready to receive web requests");
      // It says these two in any order.
      if (isReady && address !== "") resolve();
    });
    child.once("error", reject);
    child.once("close", () => reject(new Error(`Prometheus ended: ${said}`)));
  });
  await ready;
  return { child, url: `http://${address}` };
}

function asking(url: string): Pick<Prometheus, "query" | "alerts" | "rules" | "targets"> {
  async function get(path: string, parameters: Record<string, string> = {}): Promise<Answer["data"]> {
    const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const { status, error, data } = (await response.json()) as Answer;
    if (status !== "success") throw new Error(`${path} ${parameters.query ?? ""}: ${error}`);
    return data;
  }
  return {
    async query(query, at) {
      const { resultType, result } = await get("query", { query, ...(at && { time: at.toISOString() }) });
      if (resultType === "scalar") return [{ labels: {}, value: Number(result[1]) }];
      return result.map(({ metric, value }: { metric: Labels; value: [number, string] }) => ({
        labels: metric,
        value: Number(value[1]),
      }));
    },
    async alerts() {
      const { alerts } = await get("alerts");
      return alerts.map(({ labels, state }: { labels: Labels; state: Alert["state"] }) => ({
        name: labels.alertname,
        state,
        labels,
      }));
    },
    async rules() {
      const { groups } = await get("rules");
      return groups.flatMap(({ rules }: { rules: (Rule & { lastError?: string })[] }) =>
        rules.map(({ name, type, query, health, lastError }) => ({ name, type, query, health, lastError })),
      );
    },
    async targets() {
      const { activeTargets } = await get("targets");
      return Object.fromEntries(
        activeTargets.map(({ scrapeUrl, lastError }: Record<string, string>) => [scrapeUrl, lastError]),
      );
    },
  };
}

/** What promtool says of files, or of its input, and its exit code. */
export async function promtool(args: readonly string[], input = ""): Promise<{ code: number | null; said: string }> {
  const child = spawn(join(programs, "promtool"), args);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  child.stdin.end(input);
  const [code] = await once(child, "close");
  return { code, said };
}
