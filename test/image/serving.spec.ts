/** The service in the image, started read-only and without root under bubblewrap, as the first process of its container. */
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { entrypoint, nonroot, stateDirectory } from "../../scripts/image/recipe.ts";
import { begin, runContained, startContained } from "./contained.ts";

const node = entrypoint[0]!;

it("is ready, passes Validate, and ends with 0 on SIGTERM, of itself", async () => {
  const service = await startContained();
  const ready = await fetch(`${service.http}/q/health/ready`);
  expect(ready.status).toBe(200);
  const { status, stdout } = runContained([...entrypoint, "validate", "--address", service.http]);
  expect(stdout).toContain("PASS");
  expect(stdout).not.toContain("FAIL");
  expect(status).toBe(0);
  expect(await service.end("SIGTERM")).toBe(0);
  expect(service.log.map((line) => JSON.parse(line).msg).slice(-3)).toEqual(["draining", "health is down", "stopped"]);
});

/** Settings of a provider that nobody answers for, and what its own libraries then say. */
const providers: [name: string, env: Record<string, string>, says: RegExp][] = [
  [
    "aws",
    {
      AWS_KMS_MASTER_KEY_ID: "alias/fluo-kms",
      AWS_KMS_REGION: "eu-west-1",
      AWS_KMS_ENDPOINT: "https://127.0.0.1:9",
      AWS_ACCESS_KEY_ID: "id",
      AWS_SECRET_ACCESS_KEY: "secret",
    },
    /the provider cannot be reached: AWS KMS of eu-west-1 gives no answer \(ECONNREFUSED\)/,
  ],
  [
    "azure",
    {
      AZURE_KEY_VAULT_KEY: "https://127.0.0.1:9/keys/fluo-kms",
      AZURE_TENANT_ID: "tenant",
      AZURE_CLIENT_ID: "client",
      AZURE_CLIENT_SECRET: "secret",
    },
    /the provider cannot be reached/,
  ],
  ["gcp", { GCP_KMS_KEY: "projects/p/locations/l/keyRings/r/cryptoKeys/k" }, /provider gcp has no credentials/],
  [
    "vault",
    { VAULT_ADDR: "https://127.0.0.1:9", VAULT_TRANSIT_KEY: "fluo-kms", VAULT_TOKEN: "token" },
    /provider vault did not answer \(ECONNREFUSED\)/,
  ],
];

it.each(providers)("has all that provider %s asks for, up to the network", (name, env, says) => {
  const { stderr, stdout } = runContained(entrypoint, {
    env: {
      FLUO_KMS_GRPC_PORT: "0",
      FLUO_KMS_HTTP_PORT: "0",
      FLUO_KMS_STORE: "memory",
      FLUO_KMS_PROVIDER: name,
      ...env,
    },
  });
  expect(stderr).toMatch(says);
  expect(`${stdout}${stderr}`).not.toMatch(/MODULE_NOT_FOUND|Cannot find (module|package)/);
});

it.each(["http/protobuf", "http/json", "grpc"])("has the exporters of OTLP by %s", async (protocol) => {
  const service = await startContained({
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
  });
  expect(await service.end()).toBe(0);
  expect((await service.ended).err).not.toMatch(/MODULE_NOT_FOUND|Cannot find (module|package)/);
});

it("has a command beside it, which asks the local socket without a credential", async () => {
  const run = mkdtempSync(join(tmpdir(), "fluo-kms-run-"));
  onTestFinished(() => rmSync(run, { recursive: true }));
  chmodSync(run, 0o777); // as the root of an emptyDir
  const mounts = ["--perms", "0700", "--tmpfs", stateDirectory, "--bind", run, "/run"];
  const socket = "/run/local/kms.sock";
  const service = await startContained({ FLUO_KMS_LOCAL_SOCKET: socket }, { mounts });
  const beside = { mounts, env: { FLUO_KMS_ADDR: `unix:${socket}` } };
  expect(runContained(["/usr/bin/fluo-kms", "status"], beside)).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^status +operational$/m),
  });
  expect(runContained(["/usr/bin/fluo-kms", "log-level", "debug"], beside).stdout).toBe("debug, configured is info\n");
  expect(await service.end()).toBe(0);
  expect(readdirSync(join(run, "local"))).toEqual([]);
});

it("has no capability, gains no privilege, and is nobody's root", async () => {
  const { pid } = await startContained();
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  for (const name of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
    expect(status).toMatch(new RegExp(`^${name}:\\t0+$`, "m"));
  }
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  expect(status).toMatch(/^NSpid:\t\d+\t1$/m);
  if (process.getuid?.() === 0)
    expect(status).toMatch(new RegExp(`^Uid:\\t${nonroot}\\t${nonroot}\\t${nonroot}\\t${nonroot}$`, "m"));
});

it("takes its code from the compile cache, all of it", async () => {
  const service = await startContained({ NODE_DEBUG_NATIVE: "COMPILE_CACHE", FLUO_KMS_STORE: "memory" });
  const { start_ms: startMs } = JSON.parse(await service.said(/"serving"/));
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${service.pid}/status`, "utf8"))![1]!;
  expect(await service.end()).toBe(0);
  const { err } = await service.ended;
  const lines = err.split("\n").filter((line) => line.includes("file:///app/src/"));
  const [accepted, rejected] = [/V8 code cache .* was accepted/, /rejected|not found|mismatch|failed/];
  expect(lines.filter((line) => rejected.test(line))).toEqual([]);
  expect(lines.filter((line) => accepted.test(line)).length).toBeGreaterThan(20);
  const mebibytes = (Number(resident) / 1024).toFixed(0);
  console.log(`image: ready after ${startMs} ms (idle machine: < 1000), resident ${mebibytes} MiB (< 145)`);
});

it("writes nowhere but /tmp and the state directory", () => {
  const places = [
    "/",
    "/app",
    "/app/node_modules/.cache/fluo-kms",
    "/usr/bin",
    "/etc",
    "/var/lib",
    "/run",
    "/tmp",
    stateDirectory,
  ];
  const script = `for (const place of ${JSON.stringify(places)})
    try { require("fs").writeFileSync(place + "/written", ""); console.log(place) } catch (error) { console.error(place, error.code) }`;
  const { stdout, stderr } = runContained([node, "-e", script]);
  expect(stdout.trim().split("\n")).toEqual(["/tmp", stateDirectory]);
  expect(
    stderr
      .trim()
      .split("\n")
      .filter((line) => !/EROFS|EACCES/.test(line)),
  ).toEqual([]);
});

it("opens no debugger at SIGUSR1, which Node without the flag does", async () => {
  const plain = await begin({ command: [node, "-e", "setInterval(() => {}, 1000); console.log('runs')"] });
  await once(createInterface({ input: plain.child.stdout! }), "line");
  process.kill(plain.pid, "SIGUSR1");
  const [line] = await once(createInterface({ input: plain.child.stderr! }), "line");
  expect(line).toContain("Debugger listening");

  const service = await startContained();
  const before = listening(service.pid);
  expect(before).toHaveLength(2);
  process.kill(service.pid, "SIGUSR1");
  // Longer than the debugger above took, beside a whole call.
  await delay(500);
  expect((await fetch(`${service.http}/q/health/live`)).status).toBe(200);
  expect(listening(service.pid)).toEqual(before);
  expect(await service.end()).toBe(0);
});

it("knows the authorities of the system and the names of its own host", () => {
  const script = `require("dns").lookup("localhost", (error, address) =>
    console.log(JSON.stringify({ system: tls.getCACertificates("default").length, error, user: os.userInfo().username })))`;
  const { stdout, stderr } = runContained([...entrypoint.slice(0, -1), "-e", script]);
  expect(stderr).toBe("");
  const { system, user } = JSON.parse(stdout);
  expect(system).toBeGreaterThan(100);
  expect(user).toBe("nonroot");
});

/** Inodes of the sockets of the process that listen. */
function listening(pid: number): string[] {
  const held = readdirSync(`/proc/${pid}/fd`).map((fd) => link(`/proc/${pid}/fd/${fd}`));
  const isListening = "0A";
  const lines = ["tcp", "tcp6"].flatMap((name) =>
    readFileSync(`/proc/${pid}/net/${name}`, "utf8").trim().split("\n").slice(1),
  );
  const inodes = lines.map((line) => line.trim().split(/\s+/)).filter((words) => words[3] === isListening);
  return inodes.map((words) => words[9]!).filter((inode) => held.includes(`socket:[${inode}]`));
}

function link(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return "";
  }
}
