/** Attack 63: policies that a running service does not take. The former one stays and serves, and what is wrong is in Status, with its line. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { postRpc } from "../support/api-fixture.ts";
import { bearerHeaders, type RunningService, startService } from "../support/running-service.ts";
import { tokenPolicy } from "../support/token-policy.ts";

const rules = { ops: { roles: ["status", "operate", "key-admin"] }, app: { roles: ["sign"], tenants: "[acme]" } };
const former = tokenPolicy(rules);
/** In which `app` may do nothing. */
const next = former.text.replace(/ {2}- \{ name: app, who.*\n/, "");
let service: RunningService;
let policyFile: string;

beforeAll(async () => {
  service = await startService({}, { files: former.files });
  policyFile = join(service.dir, "policy.yaml");
});
afterAll(() => service.stop());

interface Status {
  status: string;
  notices: string[];
}

async function status(at: RunningService, token: string): Promise<Status> {
  const response = await fetch(`${at.url}/api/admin/kms/status`, { headers: bearerHeaders(token) });
  expect(response.status).toBe(200);
  return (await response.json()) as Status;
}

async function policyNotices(): Promise<string[]> {
  const { notices } = await status(service, former.tokens.ops!);
  return notices.filter((notice) => notice.includes(policyFile)).map((notice) => notice.replace(policyFile, "FILE"));
}

/** Whether `app` may call: the former policy is in force. */
async function isFormer(): Promise<boolean> {
  const token = bearerHeaders(former.tokens.app);
  const { body } = await postRpc(service.url, "GetPublicKeys", { tenantId: "acme" }, token);
  if (body.message === "the caller may not verify for this tenant") return true;
  expect(body.message).toBe("no rule names this caller");
  return false;
}

const notInForce = "The policy FILE is not in force, and the former one is: ";
const deep = `version: 1\nrules: ${"[".repeat(5_000)}${"]".repeat(5_000)}\n`;
const bomb = (() => {
  const levels = Array.from({ length: 9 }, (_, at) => {
    const below = `*${String.fromCharCode(97 + at)}`;
    return `${String.fromCharCode(98 + at)}: &${String.fromCharCode(98 + at)} [${Array(9).fill(below).join(", ")}]`;
  });
  return ["a: &a [lol]", ...levels, ""].join("\n");
})();

describe.each<[string, text: string, problem: RegExp]>([
  ["an alias bomb", bomb, /^line 1: an anchor: write out what &a stands for; ?|^line 1: an anchor/],
  ["a tag", next.replace("version: 1", "version: !!int 1"), /^line 1: a tag, !!int: every value is text/],
  [
    "a key twice",
    next.replace("rules:", "separation: on\nseparation: off\nrules:"),
    /^line \d+: a second separation: a key stands once/,
  ],
  ["two documents", `${next}---\n${next}`, /^line \d+: a second document: a policy is one/],
  ["more than 1 MiB", `${next}# ${"x".repeat(1_048_576)}\n`, /^line 1: is longer than 1048576 bytes/],
  ["5,000 levels", deep, /^line 2: is nested too deep/],
  ["__proto__", `${next}__proto__: { separation: off }\n`, /^line \d+: the policy has no __proto__; known: version/],
])("attack 63: %s", (_, text, problem) => {
  it("is refused with a line, the former policy serves, and Status says so until there is a good one", async () => {
    expect(await isFormer()).toBe(true);
    await service.write({ "policy.yaml": text });
    const first = async () => (await policyNotices())[0]?.replace(notInForce, "");
    await expect.poll(first).toMatch(problem);
    expect(await isFormer()).toBe(true);
    await service.write({ "policy.yaml": next });
    await expect.poll(policyNotices).toEqual([]);
    expect(await isFormer()).toBe(false);
    await service.write({ "policy.yaml": former.text });
  });
});

/** Swaps the link between its two versions, on and on, until it is told to end on the second. */
const swapping = `
const { renameSync, symlinkSync } = require("node:fs");
const { parentPort, workerData: { folder, isEnding } } = require("node:worker_threads");
for (let at = 0; ; at += 1) {
  const isLast = Atomics.load(isEnding, 0) === 1;
  symlinkSync(isLast || at % 2 === 1 ? "b" : "a", folder + "/..new");
  renameSync(folder + "/..new", folder + "/..data");
  if (at === 0) parentPort.postMessage("swapping");
  if (isLast) break;
}
`;

it("attack 63: links swapped in the middle of reads: who may call by both versions always may, and the last comes into force", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-swap-"));
  for (const [name, text] of Object.entries({ a: former.text, b: next })) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, "policy.yaml"), text);
  }
  symlinkSync("a", join(folder, "..data"));
  symlinkSync("..data/policy.yaml", join(folder, "policy.yaml"));
  const file = join(folder, "policy.yaml");
  const swapped = await startService({ "fluo.kms.auth": "policy", "fluo.kms.policy.file": file });
  const isEnding = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(swapping, { eval: true, workerData: { folder, isEnding } });
  await new Promise((resolve) => worker.once("message", resolve));
  for (let n = 0; n < 30; n += 1) {
    await swapped.reloadFiles();
    await status(swapped, former.tokens.ops!);
  }
  const ended = new Promise((resolve) => worker.once("exit", resolve));
  Atomics.store(isEnding, 0, 1);
  await ended;
  await swapped.reloadFiles();
  await expect.poll(async () => (await status(swapped, former.tokens.ops!)).notices.join()).not.toContain(file);
  const whoami = await fetch(`${swapped.url}/api/kms/whoami`, { headers: bearerHeaders(former.tokens.app) });
  expect(await whoami.json()).toMatchObject({ name: "token:app", grants: [] });
  await swapped.stop();
  rmSync(folder, { recursive: true });
});

it("attack 63: a file that is put in another's place half-written is refused, and taken once it is whole", async () => {
  const half = next.slice(0, next.indexOf("rules:"));
  await service.write({ "policy.yaml": half });
  await expect.poll(policyNotices).toEqual([expect.stringContaining("line 1: the policy needs rules")]);
  expect(await isFormer()).toBe(true);
  writeFileSync(`${policyFile}.new`, next);
  renameSync(`${policyFile}.new`, policyFile);
  await service.reloadFiles();
  expect(await isFormer()).toBe(false);
});
