/** What a command says before it asks a local socket, and where it meets none. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { run } from "../support/cli-fixture.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "fluo-kms-"));
  writeFileSync(join(directory, "kept.cpuprofile"), "kept");
});
afterAll(() => rmSync(directory, { recursive: true }));

const nobody = ["--address", "unix:nobody.sock"];
const more = "fluo-kms --help tells more.\n";

async function said(args: readonly string[], env = {}): Promise<{ code: number | null; err: string }> {
  const { code, err } = await run(args, { cwd: directory, env });
  return { code, err: err.replace(more, "") };
}

it("names what to look at where there is no socket, or something else", async () => {
  const setting = "its fluo.kms.local-socket";
  expect(await said(["status", ...nobody])).toEqual({
    code: 1,
    err: `fluo-kms: there is no unix:nobody.sock; see whether the service runs, and give the path of ${setting}\n`,
  });
  expect(await said(["status", "--address", "unix:kept.cpuprofile"])).toEqual({
    code: 1,
    err: `fluo-kms: nothing listens at unix:kept.cpuprofile; see whether the service runs, and whether that is ${setting}\n`,
  });
});

it.each([
  { args: nobody, env: {}, origin: "--address" },
  { args: [], env: { FLUO_KMS_ADDR: "unix:nobody.sock" }, origin: "FLUO_KMS_ADDR" },
])("asks no socket of $origin in the place of the replica that --connect-to names", async ({ args, env, origin }) => {
  expect(await said(["status", "--connect-to", "kms-0:8080", ...args], env)).toEqual({
    code: 2,
    err: `fluo-kms: --connect-to has no effect on the local socket that ${origin} names; give the service's HTTP address with --address\n`,
  });
});

it("leaves the variable of --connect-to, which is for other commands", async () => {
  const { code, err } = await said(["status", ...nobody], { FLUO_KMS_CONNECT_TO: "kms-0:8080" });
  expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("there is no unix:nobody.sock") });
});

it("refuses what is no level", async () => {
  expect(await said(["log-level", "verbose", ...nobody])).toEqual({
    code: 2,
    err: "fluo-kms: LEVEL must be one of trace, debug, info, warn, error, fatal, silent, not verbose\n",
  });
});

it("takes no profile that it could not write", async () => {
  const profile = (file: string) => said(["cpu-profile", "--seconds", "60", "--output", file, ...nobody]);
  expect(await profile("kept.cpuprofile")).toEqual({
    code: 2,
    err: "fluo-kms: kept.cpuprofile exists already; name another file\n",
  });
  expect(await profile("none/new.cpuprofile")).toEqual({
    code: 2,
    err: "fluo-kms: the directory of none/new.cpuprofile does not exist\n",
  });
  expect(await profile("new.cpuprofile")).toMatchObject({ code: 1, err: expect.stringContaining("there is no unix:") });
  expect(existsSync(join(directory, "new.cpuprofile"))).toBe(false);
});
