/**
 * The service off loopback, in profile prod, on a network of two hosts: a probe, Prometheus and a client reach it with the settings of the
 * guides, and a stranger reaches what `fluo.kms.open` names, and nothing else.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newStaticToken } from "../../src/auth/token/static-token.ts";
import { firstOfEach } from "../support/short.ts";
import { atEnd, type CalledService, type Credential, type Folder, newFolder, startCalled } from "./called-service.ts";
import { argumentOf, curlOptions, descriptors, goCaller, grpcurlOptions, ran, root } from "./clients.ts";
import { makeNetwork, type OwnNetwork, serviceAddress } from "./own-network.ts";

const [app, prometheus] = [newStaticToken(), newStaticToken()];
const policy = `version: 1
tokens:
  - { name: app, sha256: "${app.sha256}", expires: 2099-01-01 }
  - { name: prometheus, sha256: "${prometheus.sha256}", expires: 2099-01-01 }
rules:
  - { name: app, who: { token: app }, roles: [sign, verify, encrypt, decrypt], tenants: [acme] }
  - { name: metrics, who: { token: prometheus }, roles: [metrics], tenants: "*" }
`;

let network: OwnNetwork;
let folder: Folder;
let endKms: () => Promise<unknown>;
beforeAll(async () => {
  network = await makeNetwork();
  folder = newFolder({ addresses: [serviceAddress] });
  endKms = await startKms();
});
afterAll(async () => {
  await endKms?.();
  await network?.end();
});

/** An AWS KMS on the host of the service, as `prod` takes no master key of its own. */
async function startKms(): Promise<() => Promise<unknown>> {
  const [command, ...args] = [...network.service, process.execPath, join(root, "scripts", "failing-kms.ts")];
  const child = spawn(command!, args, { stdio: ["ignore", "pipe", "inherit"] });
  atEnd(() => child.kill("SIGKILL"));
  const ended = once(child, "close");
  await once(createInterface({ input: child.stdout }), "line");
  return () => {
    child.kill();
    return ended;
  };
}

async function startService(host: string, open?: string): Promise<CalledService> {
  mkdirSync(join(folder.dir, "data"), { recursive: true });
  const aws = { AWS_ACCESS_KEY_ID: "AKIAIOSFODNN7EXAMPLE", AWS_SECRET_ACCESS_KEY: "secret" };
  const service = await startCalled(
    folder,
    { "policy.yaml": policy },
    {
      host,
      enter: network.service,
      cwd: join(folder.dir, "data"),
      env: {
        ...aws,
        FLUO_KMS_PROFILE: "prod",
        FLUO_KMS_ISSUER: "kms.example.com",
        FLUO_KMS_PROVIDER: "aws",
        AWS_KMS_MASTER_KEY_ID: "alias/fluo-kms",
        AWS_KMS_REGION: "eu-central-1",
        AWS_KMS_ENDPOINT: "http://127.0.0.1:4601",
        FLUO_KMS_GRPC_PORT: "9000",
        FLUO_KMS_HTTP_PORT: "8080",
        ...(open !== undefined && { FLUO_KMS_OPEN: open }),
      },
    },
  );
  return { ...service, grpc: `${serviceAddress}:9000`, http: `https://${serviceAddress}:8080` };
}

const byCaller = (command: readonly string[]) => ran([...network.caller, ...command]);

/** The status of an answer, and its text. */
async function get(service: CalledService, path: string, credential: Credential = {}) {
  const written = ["--write-out", "\n%{http_code}", service.http + path];
  const { out, err } = await byCaller(["curl", ...curlOptions(service, credential), ...written]);
  const [, body, status] = /^(.*)\n(\d+)$/s.exec(out)!;
  return { status: Number(status), body: body!, err };
}

const encrypt = {
  method: "fluo.kms.v1.KmsService/EncryptPii",
  request: { tenant_id: "acme", fields: [{ name: "email", value: "YWRhQGV4YW1wbGUub3Jn" }] },
};

describe.each(firstOfEach(["0.0.0.0", serviceAddress]))("the service on %s", (host) => {
  let service: CalledService;
  beforeAll(async () => {
    service = await startService(host);
  });
  afterAll(async () => {
    await service?.process.end();
  });

  it("answers a probe that does not verify its certificate, as a kubelet does not", async () => {
    const probe = ["curl", "--silent", "--insecure", "--fail", `${service.http}/q/health/ready`];
    await expect.poll(async () => (await byCaller(probe)).code).toBe(0);
    expect(JSON.parse((await byCaller(probe)).out)).toMatchObject({ status: "UP" });
  });

  it("serves a client with a token, and tells one without that it has none", async () => {
    const told = async (credential: Credential) =>
      JSON.parse((await byCaller([...goCaller, argumentOf(service, { ...encrypt, credential })])).out);
    expect(await told({ token: app.token })).toEqual({ code: "OK", text: "" });
    expect(await told({})).toMatchObject({ code: "Unauthenticated", text: "no credential" });
    expect(await told({ token: prometheus.token })).toMatchObject({
      code: "PermissionDenied",
      text: "the caller may not encrypt for this tenant",
    });
  });
});

describe("Prometheus", () => {
  let service: CalledService;
  beforeAll(async () => {
    service = await startService("0.0.0.0");
  });
  afterAll(async () => {
    await service?.process.end();
  });

  /** What Prometheus says of its one target, once it has looked and had an answer within the interval. */
  async function scraped(token: string) {
    const name = `prometheus-${token.slice(4, 12)}`;
    const job = {
      job_name: "fluo-kms",
      metrics_path: "/q/metrics",
      scheme: "https",
      scrape_interval: "5s",
      authorization: { credentials_file: folder.write({ [`${name}.token`]: token }) },
      tls_config: { ca_file: folder.ca },
      static_configs: [{ targets: [`${serviceAddress}:8080`] }],
    };
    const config = folder.write({ [`${name}.yml`]: JSON.stringify({ scrape_configs: [job] }) });
    const program = join(root, "tools", "prometheus", "usr", "bin", "prometheus");
    const api = "http://127.0.0.1:9090/api/v1";
    const options = ["--web.listen-address=127.0.0.1:9090", `--storage.tsdb.path=${join(folder.dir, name)}`];
    const [command, ...args] = [...network.caller, program, `--config.file=${config}`, ...options];
    const child = spawn(command!, args, { stdio: "ignore" });
    const ended = once(child, "close");
    atEnd(() => child.kill("SIGKILL"));
    const asked = async (path: string) => {
      const { out } = await byCaller(["curl", "--silent", api + path]);
      return out === "" ? undefined : JSON.parse(out).data;
    };
    try {
      let target: { health: string; lastError: string } | undefined;
      await expect
        .poll(async () => {
          target = (await asked("/targets"))?.activeTargets[0];
          const isLate = target?.lastError.includes("deadline exceeded");
          return isLate ? "unknown" : (target?.health ?? "unknown");
        })
        .not.toBe("unknown");
      const series = async (): Promise<number> => (await asked("/query?query=kms_cache_size")).result.length;
      // A target is up a moment before what it gave can be asked for.
      if (target!.health === "up") await expect.poll(series).toBeGreaterThan(0);
      return { health: target!.health, error: target!.lastError, series: await series() };
    } finally {
      child.kill("SIGTERM");
      await ended;
    }
  }

  it("scrapes with a token from a file, over TLS that it verifies", async () => {
    expect(await scraped(prometheus.token)).toEqual({
      health: "up",
      error: "",
      series: expect.toSatisfy((n) => n > 0),
    });
  });

  it("is refused with the token of another caller, and with none of the policy", async () => {
    expect(await scraped(app.token)).toMatchObject({
      health: "down",
      error: expect.stringContaining("403"),
      series: 0,
    });
    expect(await scraped(newStaticToken().token)).toMatchObject({
      health: "down",
      error: expect.stringContaining("401"),
      series: 0,
    });
  });
});

/** With the groups of paths that each opens. */
const openings: [open: string | undefined, ...named: string[]][] = [
  [undefined, "health"],
  ["none"],
  ["metrics", "metrics"],
  ["public-keys", "public-keys"],
  ["reflection", "reflection"],
  ["health,metrics,public-keys,reflection", "health", "metrics", "public-keys", "reflection"],
];

describe.each(firstOfEach(openings))("with fluo.kms.open=%s a stranger", (open, ...named) => {
  let service: CalledService;
  beforeAll(async () => {
    service = await startService("0.0.0.0", open);
  });
  afterAll(async () => {
    await service?.process.end();
  });

  /** Each with the status that it has where it is open. Tenant acme has no log. */
  const paths: Readonly<Record<string, Readonly<Record<string, number>>>> = {
    health: { "/": 200, "/q/health": 200, "/q/health/ready": 200, "/q/health/live": 200 },
    metrics: { "/q/metrics": 200 },
    "public-keys": { "/api/kms/tenants/acme/jwks.json": 200, "/api/kms/tenants/acme/log/checkpoint": 404 },
    nothing: { "/api/admin/kms/status": 200, "/api/kms/whoami": 200, "/no-such-path": 404 },
  };

  it.each(Object.entries(paths))("reaches the paths of %s only if they are named", async (name, group) => {
    for (const [path, opened] of Object.entries(group)) {
      const { status, body } = await get(service, path);
      if (named.includes(name)) expect(status, path).toBe(opened);
      else expect({ status, body }, path).toEqual({ status: 401, body: expect.stringContaining("no credential") });
    }
  });

  const asked = (credential: Credential, ...args: string[]) =>
    byCaller([join(root, "tools", "bin", "grpcurl"), ...grpcurlOptions(service, credential), ...args]);

  it("reaches gRPC's health and reflection only if they are named", async () => {
    for (const [name, args] of [
      ["health", ["-protoset", descriptors, service.grpc, "grpc.health.v1.Health/Check"]],
      ["reflection", [service.grpc, "list"]],
    ] as const) {
      const { code, out, err } = await asked({}, ...args);
      if (named.includes(name)) expect(code, out + err).toBe(0);
      else expect(err).toContain("no credential");
    }
  });

  it("sees nothing of health but its state, and calls no rpc", async () => {
    const { code, err } = await asked(
      {},
      "-protoset",
      join(root, "gen", "descriptor.binpb"),
      service.grpc,
      encrypt.method,
    );
    expect(code).not.toBe(0);
    expect(err).toContain("no credential");
    if (named.includes("health")) expect((await get(service, "/q/health")).body).not.toContain('"data"');
  });
});
