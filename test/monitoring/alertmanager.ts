/** An Alertmanager with the shipped configuration, on a free loopback port, and what it sends to the receivers of it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { json, text } from "node:stream/consumers";
import { parse, stringify } from "yaml";
import { fasterDuration } from "./fast-rules.ts";
import type { Labels } from "./prometheus.ts";

export const configPath = join(import.meta.dirname, "..", "..", "monitoring", "alertmanager", "alertmanager.yaml");
const unpacked = join(import.meta.dirname, "..", "..", "tools", "alertmanager");

export interface InhibitRule {
  source_matchers: string[];
  target_matchers: string[];
  equal: string[];
}

interface Config {
  route: Record<string, unknown>;
  receivers: { name: string; webhook_configs?: object[] }[];
  inhibit_rules: InhibitRule[];
}

export function readConfig(): Config {
  return parse(readFileSync(configPath, "utf8")) as Config;
}

/** One message to a receiver, about all alerts of a group. */
export interface Notification {
  receiver: string;
  groupKey: string;
  groupLabels: Labels;
  alerts: { status: "firing" | "resolved"; labels: Labels }[];
}

export interface Alertmanager {
  /** `host:port`. */
  address: string;
  /** Every notification so far. */
  sent: readonly Notification[];
  /** Alerts of a cluster that are not held back. */
  open(cluster: string): Promise<readonly Labels[]>;
  end(): Promise<void>;
}

/** Debian's program reads its templates at their installed place alone, so it gets a view in which they are there. */
function inItsPlace(dir: string): string[] {
  const folder = realpathSync(unpacked);
  const share = "/usr/share/prometheus";
  return [
    ...["--ro-bind", "/lib", "/lib", "--ro-bind-try", "/lib64", "/lib64", "--ro-bind", "/usr/lib", "/usr/lib"],
    ...["--ro-bind", join(folder, share), share, "--ro-bind", folder, folder, "--bind", dir, dir],
    ...["--dev", "/dev", "--proc", "/proc", "--die-with-parent"],
  ];
}

/** What amtool says of the shipped configuration, and its exit code. */
export async function checkConfig(): Promise<{ code: number | null; said: string }> {
  const child = spawn(join(unpacked, "usr", "bin", "amtool"), ["check-config", configPath]);
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
  return { code, said };
}

/** Waits of the configuration are a sixtieth, as those of the rules. */
export async function startAlertmanager(): Promise<Alertmanager> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-alertmanager-"));
  const sent: Notification[] = [];
  const hook = createServer(async (request, response) => {
    sent.push((await json(request)) as Notification);
    response.end();
  }).listen(0, "127.0.0.1");
  await once(hook, "listening");
  const config = readConfig();
  for (const wait of ["group_wait", "group_interval", "repeat_interval"])
    config.route[wait] = fasterDuration(config.route[wait] as string);
  const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}`;
  for (const receiver of config.receivers) receiver.webhook_configs = [{ url }];
  writeFileSync(join(dir, "alertmanager.yaml"), stringify(config));
  const child = spawn(
    "bwrap",
    [
      ...inItsPlace(dir),
      join(realpathSync(unpacked), "usr", "bin", "prometheus-alertmanager"),
      ...[`--config.file=${join(dir, "alertmanager.yaml")}`, `--storage.path=${join(dir, "data")}`],
      ...["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="],
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  let said = "";
  const address = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      said = `${said}${line}\n`.slice(-10_000);
      const found = /msg="Listening on" address=(\S+)/.exec(line);
      if (found) resolve(found[1]!);
    });
    child.once("error", reject);
    child.once("close", () => reject(new Error(`Alertmanager ended: ${said}`)));
  });
  return {
    address,
    sent,
    async open(cluster) {
      const query = new URLSearchParams({ inhibited: "false", filter: `cluster="${cluster}"` });
      const response = await fetch(`http://${address}/api/v2/alerts?${query}`);
      return ((await response.json()) as { labels: Labels }[]).map(({ labels }) => labels);
    },
    async end() {
      process.off("exit", kill);
      const ended = once(child, "close");
      child.kill("SIGTERM");
      await ended;
      hook.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
