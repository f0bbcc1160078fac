import { describe, expect, it } from "vitest";
import { verifierPageSha256 } from "../../gen/ts/verifier_page.ts";
import packageJson from "../../package.json" with { type: "json" };
import { misreadText, misreadsNames } from "../../src/runtime/misread-names.ts";
import { run } from "../support/cli-fixture.ts";

const commands = [
  "serve",
  "demo",
  "validate",
  "status",
  "preflight",
  "whoami",
  "rotate",
  "rewrap",
  "sign",
  "verify",
  "backup",
  "restore",
  "check",
  "note-check",
  "audit verify",
  "policy new",
  "policy check",
  "policy explain",
  "policy test",
  "policy diff",
  "token new",
];

const shown = ["--token-file FILE", "--ca-cert FILE", "--client-cert FILE", "--client-key FILE"];

describe("help", () => {
  it("names every command, and the exit codes", async () => {
    const { code, out, err } = await run(["--help"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    for (const command of commands) expect(out).toMatch(new RegExp(`^  ${command} +\\w`, "m"));
    expect(out).toContain("Exit codes: 0 ok, 1 failed, 2 wrong usage or configuration.");
  });

  it.each([
    ["serve", ["--config FILE"]],
    ["validate", [...shown, "--address URL", "--tenant TENANT"]],
    ["status", [...shown, "--address URL", "--tenant TENANT"]],
    ["preflight", [...shown, "--address URL", "--config FILE", "--replicas N"]],
    ["whoami", [...shown, "--address URL"]],
    [
      "rotate",
      [...shown, "--address URL", "--tenant TENANT", "--purpose PURPOSE", "--force", "--dry-run", "--limit COUNT"],
    ],
    [
      "sign",
      [...shown, "--tenant TENANT", "--mode MODE", "--out FILE", "--grpc-address HOST:PORT", "--resume RUN", " FILE…"],
    ],
    ["verify", ["--keys FILE", "--tenant TENANT", "SPANS_FILE"]],
    ["backup", ["--config FILE", "--directory DIR", " [FILE]"]],
    ["restore", ["--config FILE", " FILE"]],
    ["check", ["--config FILE"]],
    ["note-check", ["--config FILE", " REPORT"]],
    ["rewrap", [...shown, "--address URL", "--dry-run", "--json"]],
    ["audit verify", [...shown, "--address URL", "--head WRITER:SEQUENCE:MAC"]],
    ["policy new", ["--for KIND", "--out FILE"]],
    ["policy check", ["--no-files", " FILE"]],
    [
      "policy explain",
      ["--as IDENTITY", "--claim NAME=TEXT", "--issuer NAME", "--claims FILE", "--rpc RPC", "--tenant TENANT", " FILE"],
    ],
    ["policy test", [" FILE CASES"]],
    ["policy diff", [" OLD NEW"]],
    ["token new", ["--name NAME", "--expires DATE", "--out FILE"]],
  ])("of %s lists its options", async (command, options) => {
    const { code, out } = await run([...command.split(" "), "--help"]);
    expect(code).toBe(0);
    expect(out).toContain(`Usage: fluo-kms ${command} `);
    for (const option of [...options, "--json", "--help", "--version"]) expect(out).toContain(option);
  });
});

it("prints its version and the digest of the page that verifies, as JSON too", async () => {
  const { version } = packageJson;
  // A line more, and a member, where Node has a defect.
  const notices = misreadsNames() ? [misreadText] : [];
  const out = [version, `fluo-verify.html sha256 ${verifierPageSha256}`, ...notices, ""].join("\n");
  expect(await run(["--version"])).toEqual({ code: 0, out, err: "" });
  const json = JSON.parse((await run(["status", "--version", "--json"])).out);
  expect(json).toEqual({ version, verifier_page_sha256: verifierPageSha256, ...(notices.length > 0 && { notices }) });
});

describe("wrong usage exits with 2 and says what was meant", () => {
  it.each([
    ["an unknown command", ["statsu"], "unknown command statsu; did you mean status?"],
    [
      "a command like none",
      ["frobnicate"],
      "unknown command frobnicate; use serve, demo, validate, status, preflight, metrics, log-level, cpu-profile, ",
    ],
    [
      "an unknown option",
      ["status", "--adress=http://localhost"],
      "status has no option --adress; did you mean --address?",
    ],
    ["one before its command", ["--adress", "http://localhost", "status"], "did you mean --address?"],
    ["another command's option", ["status", "--force"], "status has no option --force"],
    ["an unknown option of the default", ["--confg", "x"], "serve has no option --confg; did you mean --config?"],
    ["an option without its value", ["status", "--address"], "--address"],
    [
      "a value that may be an option",
      ["verify", "--from", "-1", "spans"],
      "--from needs a value; one that begins with a dash is --from=-…",
    ],
    ["a switch with a value", ["status", "--json=yes"], "--json"],
    ["an argument too many", ["validate", "now"], "validate does not take the argument now"],
    ["an argument too few", ["verify", "--keys", "keys.json"], "verify needs SPANS_FILE"],
    ["half a command", ["audit"], "unknown command audit; use audit verify"],
    ["a command that is half right", ["audit", "verfy"], "unknown command audit verfy; did you mean audit verify?"],
    [
      "half of a command of several",
      ["policy"],
      "use policy new, policy check, policy explain, policy test, policy diff",
    ],
    ["one of two arguments", ["policy", "diff", "old.yaml"], "policy diff needs NEW"],
    ["a backup to nowhere", ["backup"], "backup needs FILE"],
    ["a head that is none", ["audit", "verify", "--head", "12"], "--head is WRITER:SEQUENCE:MAC"],
    ["no keys", ["verify", "spans.json"], "verify needs --keys FILE"],
    ["an address that is none", ["status", "--address", "localhost:8080"], "--address must be a URL"],
    ["a purpose that is none", ["rotate", "--purpose", "dat"], "--purpose is data or signing"],
    ["replicas that are none", ["preflight", "--replicas", "0"], "--replicas must be a whole number from 1"],
    ["a limit that is none", ["rotate", "--limit", "0"], "--limit is a whole number from 1"],
  ])("%s", async (_, args, text) => {
    const { code, out, err } = await run(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(text);
    expect(err).not.toMatch(/^ +at /m);
  });
});
