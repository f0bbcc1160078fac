/** What the local socket serves, and that nothing of a tenant is among it: each rpc and path of the API is tried, and attacks on HTTP. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { KeyAdminService } from "../../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { eventually } from "../../support/eventually.ts";
import { askLocal, sendLocal } from "../../support/local-socket.ts";
import { startService } from "../../support/running-service.ts";
import { wordsIn } from "../../support/words.ts";

const folder = mkdtempSync(join(tmpdir(), "fluo-kms-"));
const path = join(folder, "local", "kms.sock");
const service = await startService({ "fluo.kms.local-socket": path, "fluo.kms.store": "memory" });
afterAll(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

const levelPath = "/api/admin/kms/log-level";
const profilePath = "/api/admin/kms/cpu-profile";
const rows = async () => (await service.grpc.admin.listAuditEvents({ pageSize: 1000 })).events;
const ofLocal = async () => (await rows()).filter(({ actor }) => actor === "local");
const profiles = async () => (await ofLocal()).filter(({ action }) => action === "profile_cpu");
const json = async (...asked: Parameters<typeof askLocal>) => JSON.parse((await askLocal(...asked)).text);

describe("serves", () => {
  it("Status, Validate, health and metrics, without a row", async () => {
    expect(await json(path, ["GET", "/api/admin/kms/status"])).toMatchObject({ status: "operational" });
    expect(await json(path, ["POST", "/api/admin/kms/validate"], "{}")).toMatchObject({ overall: "PASS" });
    expect(await json(path, ["GET", "/q/health/ready"])).toMatchObject({ status: "UP" });
    expect((await askLocal(path, ["GET", "/q/metrics"])).text).toContain("kms_ready 1");
    expect((await ofLocal()).filter(({ action }) => /level|profile/.test(action))).toEqual([]);
  });

  it("the log level, whose change is a row", async () => {
    expect(await json(path, ["GET", levelPath])).toEqual({ level: "silent", configured: "silent" });
    expect(await json(path, ["POST", levelPath], '{"level":"fatal"}')).toEqual({
      level: "fatal",
      configured: "silent",
    });
    expect(await ofLocal()).toContainEqual(expect.objectContaining({ action: "set_log_level", detail: "level=fatal" }));
    expect(await json(path, ["POST", levelPath], '{"level":"silent"}')).toMatchObject({ level: "silent" });
  });

  it("a CPU profile, which is a row", async () => {
    const profile = await json(path, ["POST", `${profilePath}?seconds=1`]);
    expect(profile).toMatchObject({ nodes: expect.any(Array), samples: expect.any(Array) });
    expect(await profiles()).toMatchObject([{ detail: "seconds=1" }]);
  });

  it("one profile at a time, until its caller leaves", async () => {
    const leaving = connect(path);
    leaving.write(`POST ${profilePath}?seconds=60 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`);
    await expect.poll(async () => (await profiles()).length).toBe(2);
    const next = ["POST", `${profilePath}?seconds=1`] as const;
    expect(await json(path, next)).toMatchObject({ code: "CONFLICT" });
    expect(await profiles()).toHaveLength(2);
    leaving.destroy();
    await eventually(async () => expect(await json(path, next)).toHaveProperty("samples"));
  });

  it.each([
    ["POST", levelPath, '{"level":"loud"}'],
    ["POST", levelPath, '{"level":7}'],
    ["POST", levelPath, '{"level":"info","tenant_id":"acme"}'],
    ["POST", levelPath, "not JSON"],
    ["POST", `${profilePath}?seconds=0`, ""],
    ["POST", `${profilePath}?seconds=61`, ""],
    ["POST", `${profilePath}?seconds=1&seconds=2`, ""],
    ["POST", profilePath, ""],
    ["GET", "/api/admin/kms/status?tenant_id=acme", undefined],
    ["POST", "/api/admin/kms/validate", '{"tenant_id":"acme"}'],
    ["POST", "/api/admin/kms/validate?tenant_id=acme", "{}"],
  ])("%s %s %s is refused", async (method, at, body) => {
    expect(await askLocal(path, [method, at], body)).toMatchObject({
      status: 400,
      text: expect.stringContaining("INVALID_ARGUMENT"),
    });
  });
});

const rpcs = [KmsService, KeyAdminService, LogService].flatMap(({ typeName, methods }) =>
  methods.map(({ name }) => `/${typeName}/${name}`),
);
const otherPaths = wordsIn(`
  / /api/kms/whoami /api/admin/kms/rotate /api/kms/tenants/acme/jwks.json /console/
  /api/kms/tenants/acme/log/checkpoint /log/acme/checkpoint /acme/checkpoint /acme/tile/0/000
  /api/admin/kms/status/ /api/admin/kms/../kms/status //api/admin/kms/status /api/admin/kms/%73tatus
  /grpc.health.v1.Health/Check /grpc.reflection.v1.ServerReflection/ServerReflectionInfo
`);

describe("serves nothing else", () => {
  it.each([...rpcs, ...otherPaths])("%s", async (at) => {
    const before = (await rows()).length;
    for (const method of ["GET", "POST", "PUT", "HEAD"]) {
      for (const type of ["application/json", "application/grpc-web+proto", "application/proto"]) {
        const answer = await askLocal(path, [method, at], method === "POST" ? '{"tenantId":"acme"}' : undefined, {
          "content-type": type,
        });
        expect(answer.status).toBe(404);
      }
    }
    const named = (await rows()).slice(before).filter(({ tenantId, actor }) => tenantId !== "" || actor === "local");
    expect(named).toEqual([]);
  });

  it("the log level and profiles on the TCP ports", async () => {
    for (const at of [levelPath, `${profilePath}?seconds=1`]) {
      const { status } = await fetch(service.url + at, { method: "POST", body: '{"level":"debug"}' });
      expect(status).toBe(404);
    }
  });
});

describe("withstands", () => {
  const head = "GET /api/admin/kms/status HTTP/1.1\r\nhost: x\r\n";
  it.each([
    ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", /^HTTP\/1\.1 400|^$/],
    ["CONNECT", "CONNECT 127.0.0.1:9000 HTTP/1.1\r\nhost: x\r\n\r\n", /^$|^HTTP\/1\.1 4/],
    ["an upgrade", `${head}connection: upgrade\r\nupgrade: h2c\r\n\r\n`, /^HTTP\/1\.1 200/],
    [
      "two lengths",
      "POST /api/admin/kms/validate HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      /^HTTP\/1\.1 400/,
    ],
    [
      "a request in another's body",
      `${head}content-length: 2\r\n\r\n{}${head}\r\n`,
      /^HTTP\/1\.1 200(?![\s\S]*HTTP\/1\.1 200)/,
    ],
    ["an absolute target", "GET http://127.0.0.1/api/admin/kms/rotate HTTP/1.1\r\nhost: x\r\n\r\n", /^HTTP\/1\.1 404/],
    ["headers that are too long", `${head}x: ${"y".repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 400|^$/],
  ])("%s", async (_, bytes, answer) => {
    expect(await sendLocal(path, bytes)).toMatch(answer);
  });

  it("a body that is too large", async () => {
    const answer = await askLocal(path, ["POST", levelPath], Buffer.alloc(1_000_000, " ")).catch(() => undefined);
    expect(answer?.text ?? "MESSAGE_TOO_LARGE").toContain("MESSAGE_TOO_LARGE");
  });

  it("1,000 connections that say nothing: TCP goes on, and the socket does once they are gone", async () => {
    const opened = await Promise.all(Array.from({ length: 1_000 }, opening));
    expect((await fetch(`${service.url}/q/health/ready`)).status).toBe(200);
    expect(await service.grpc.generateDataKey({ tenantId: "acme" })).toBeDefined();
    for (const socket of opened) socket.destroy();
    await Promise.all(
      opened.map((socket) => new Promise((resolve) => (socket.closed ? resolve(0) : socket.once("close", resolve)))),
    );
    await expect
      .poll(() => askLocal(path, ["GET", "/q/health/live"]).catch(() => ({ status: 0 })))
      .toMatchObject({ status: 200 });
  });
});

function opening(): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", () => resolve(socket));
  });
}
