/** A Node whose JSON.parse misreads names: what the service, its commands and profile prod make of it. */
import { tmpdir } from "node:os";
import { expect, it } from "vitest";
import { verifierPageSha256 } from "../../gen/ts/verifier_page.ts";
import { misreadsNames } from "../../src/runtime/misread-names.ts";
import { getJson, postJson } from "../support/api-fixture.ts";
import { run } from "../support/cli-fixture.ts";
import { directory, production } from "../support/config-fixture.ts";
import { allDoors, startAttacked } from "../support/name-attack.ts";
import { startProcess } from "../support/service-process.ts";
import { firstOfEach } from "../support/short.ts";
import packageJson from "../../package.json" with { type: "json" };
import { formerNode } from "./former-node.ts";

const notice =
  "Node 26.10.0 misreads some names in JSON: callers' JSON is read by a parser of the service's own. Use Node 26.12.1 or later.";

it.each(firstOfEach(allDoors))("a name that comes by %s changes nothing of how another's is read", async (door) => {
  const service = await startAttacked(formerNode);
  await service.attack(door, "caf");
  expect(await service.problems("caf")).toEqual([]);
});

it("the service says so in its log, in Status and in preflight, and is valid", async () => {
  const { log, http, client } = await startProcess({}, { node: formerNode });
  expect(log.filter((line) => line.includes(notice))).toHaveLength(1);
  expect((await client.status({})).notices).toContain(notice);
  expect((await getJson(`${http}/api/admin/kms/status`)).body).toMatchObject({
    notices: expect.arrayContaining([notice]),
  });
  expect((await postJson(`${http}/api/admin/kms/validate`, {})).body).toMatchObject({ overall: "PASS" });
  const preflight = ["preflight", "--address", http, "--json"];
  for (const node of [formerNode, process.execPath]) {
    const { out } = await run(preflight, { cwd: tmpdir(), node });
    const { checks } = JSON.parse(out) as { checks: object[] };
    expect(checks).toContainEqual(
      expect.objectContaining({ id: "node-misreads-names", text: notice, outcome: "WARN" }),
    );
  }
});

it("--version says so", async () => {
  const { version } = packageJson;
  expect((await run(["--version"], { node: formerNode })).out).toBe(
    `${version}\nfluo-verify.html sha256 ${verifierPageSha256}\n${notice}\n`,
  );
  const json = JSON.parse((await run(["status", "--version", "--json"], { node: formerNode })).out);
  expect(json).toEqual({ version, verifier_page_sha256: verifierPageSha256, notices: [notice] });
});

it.runIf(!misreadsNames())("profile prod does not start where npm has a Node without the defect", async () => {
  const cwd = directory({ "policy.yaml": "version: 1\nrules: []\n" });
  const { code, out, err } = await run(["serve"], { cwd, env: production, node: formerNode });
  expect({ code, out, err }).toEqual({
    code: 2,
    out: "",
    err: "Node 26.10.0: misreads some names in JSON, so that one caller's request changes how another's is read; in profile prod use Node 26.12.1 or later, which npm ci installs\n",
  });
});
