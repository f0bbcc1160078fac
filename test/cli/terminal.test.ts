/** Output of commands on a terminal: colours, and help that fits. In a pipe it is as it always was. */
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { settingMeant } from "../../src/cli/setting-options.ts";
import { thingsToTry } from "../../src/cli/things-to-try.ts";
import { directory } from "../support/config-fixture.ts";
import { answering, run } from "../support/cli-fixture.ts";

const esc = "\u001b";
const [green, red] = [(text: string) => `${esc}[32m${text}${esc}[39m`, `${esc}[1m${esc}[31m`];
const tests = { encrypt: "PASS (1ms)", decrypt: "FAIL: no\u001b[2J answer" };
const validation = { provider: "local", overall: "FAIL", tests };

async function validate(env: object, isTerminal = true) {
  const { address } = await answering(200, validation);
  return (await run(["validate"], { env: { FLUO_KMS_ADDR: address, ...env }, isTerminal })).out;
}

describe("PASS and FAIL", () => {
  it("are in colour on a terminal, and what else a line has is not", async () => {
    const lines = (await validate({ TERM: "xterm" })).split("\n");
    expect(lines[0]).toMatch(/^overall {3}/);
    expect(lines[0]).toContain(`${red}FAIL`);
    expect(lines).toContain(`  encrypt  ${green("PASS")} (1ms)`);
    expect(lines.find((line) => line.startsWith("  decrypt"))).toMatch(/m: no\?\[2J answer$/);
  });

  it("are plain in a pipe, and on a terminal that has no colours or wants none", async () => {
    const piped = await validate({ TERM: "xterm" }, false);
    expect(piped).not.toContain(esc);
    expect(stripVTControlCharacters(await validate({ TERM: "xterm" }))).toBe(piped);
    for (const env of [{ TERM: "dumb" }, { TERM: "xterm", NO_COLOR: "1" }]) expect(await validate(env)).toBe(piped);
  });

  it("are in colour in every command that has an outcome", async () => {
    const policy = (who: string) =>
      `version: 1\nrules:\n  - { name: all, who: ${who}, roles: [sign], tenants: [acme] }\n`;
    const cwd = directory({
      "bad.yaml": policy("anonymous"),
      "spans.json": '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"aa","spanId":"bb"}]}]}]}',
      "keys.json": '{"keys":[]}',
    });
    const on = async (...args: string[]) => {
      const { out, err } = await run(args, { cwd, env: { TERM: "xterm" }, isTerminal: true });
      return out + err;
    };
    expect(await on("policy", "check", "bad.yaml")).toContain(`${red}problem`);
    expect(await on("verify", "--keys", "keys.json", "spans.json")).toContain(`${red}0 of 1 verified, 1 failed`);
    expect(await on("verify", "--keys", "none", "none")).toContain(`${red}fluo-kms`);
  });
});

describe("help", () => {
  it.each([[["-h"]], [["demo", "-h"]], [["verify", "-h"]], [["policy", "test", "-h"]]])(
    "of %j fits a terminal, with bold headings, and says the same as in a pipe",
    async (args) => {
      const [seen, piped] = [await run(args, { env: { TERM: "xterm" }, isTerminal: true }), await run(args)];
      expect(seen.out).toContain(`${esc}[1mOptions:${esc}[22m`);
      const plain = stripVTControlCharacters(seen.out);
      // An example stands as it is.
      const prose = plain.split("\n").filter((line) => !/^ +[\w-]+:/.test(line) && !line.startsWith("    - "));
      for (const line of prose) expect(line.length).toBeLessThanOrEqual(80);
      const words = (text: string) => text.split(/\s+/);
      expect(words(plain)).toEqual(words(piped.out));
      expect(piped.out).toBe((await run(args.map((each) => (each === "-h" ? "--help" : each)))).out);
    },
  );

  it("is asked for by -h, and the version by -V", async () => {
    expect((await run(["-h"])).out).toContain("  -h, --help     print this help\n  -V, --version  print the version\n");
    expect((await run(["status", "-V"])).out).toBe((await run(["--version"])).out);
  });
});

describe("an option of serve that is a setting", () => {
  const start =
    "start it with FLUO_KMS_HTTP_PORT=9000 npx fluo-kms serve, or write fluo.kms.http.port=9000 into application.properties";
  it.each([
    [["serve", "--port", "9000"], `--port: ports are the settings fluo.kms.http.port and fluo.kms.grpc.port; ${start}`],
    [["--port=9000"], `--port: ports are the settings fluo.kms.http.port and fluo.kms.grpc.port; ${start}`],
    [["serve", "-p", "9000"], `-p: ports are the settings fluo.kms.http.port and fluo.kms.grpc.port; ${start}`],
    [["serve", "--http-port", "9000"], `--http-port: it is the setting fluo.kms.http.port; ${start}`],
  ])("is refused by name, with how to set it: %j", async (args, said) => {
    const { code, out, err } = await run(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err.split("\n")[0]).toBe(`fluo-kms: serve has no option ${said}`);
  });

  it.each([
    ["grpc-port", "9100", "fluo.kms.grpc.port=9100"],
    ["fluo.kms.grpc.port", undefined, "fluo.kms.grpc.port=9000"],
    ["FLUO_KMS_LOG_LEVEL", "debug", "fluo.kms.log.level=info"],
    ["log-level", undefined, "fluo.kms.log.level=info"],
    ["host", "0.0.0.0", "fluo.kms.host=127.0.0.1"],
    ["cache-ttl", undefined, "kms.cache.ttl=60m"],
    ["vault-token", "s.secret", "vault.token=…"],
  ])("is known by its name: --%s", (option, value, example) => {
    const said = settingMeant(option, value);
    expect(said).toContain(`write ${example} into`);
    expect(said).not.toContain("s.secret");
  });

  it("is nothing for a name that no setting has", () => {
    expect(settingMeant("confg", "x")).toBeUndefined();
    expect(settingMeant("toString", undefined)).toBeUndefined();
  });
});

describe("things to try", () => {
  const ports = { grpcPort: 9000, httpPort: 8080 };
  const open = { host: "127.0.0.1", tls: undefined, policyFile: undefined, open: ["health" as const] };
  const tls = { certificate: "/c.pem", key: "/k.pem" };
  const textOf = (...args: Parameters<typeof thingsToTry>) =>
    thingsToTry(...args).map((line) => (typeof line === "string" ? line : line.word + line.rest));
  const commandsIn = (lines: string[]) =>
    lines.filter((line) => /^ {4}(curl|npx) /.test(line)).map((line) => line.trim());

  it("are three commands, for the addresses that there are", () => {
    const lines = textOf(open, ports);
    expect(lines).toContain("gRPC  127.0.0.1:9000");
    expect(lines).toContain("HTTP  http://127.0.0.1:8080");
    expect(commandsIn(lines)).toEqual([
      "curl -s http://127.0.0.1:8080/q/health/ready",
      "curl -s http://127.0.0.1:8080/fluo.kms.v1.KmsService/EncryptPii \\",
      "npx fluo-kms status",
    ]);
    for (const line of lines) expect(line.length).toBeLessThan(80);
  });

  it.each([
    ["0.0.0.0", "http://127.0.0.1:18080"],
    ["::", "http://[::1]:18080"],
    ["::1", "http://[::1]:18080"],
    ["[::1]", "http://[::1]:18080"],
    ["kms.internal", "http://kms.internal:18080"],
  ])("reach a service on %s", (host, url) => {
    const lines = textOf({ ...open, host }, { ...ports, httpPort: 18080 });
    expect(lines).toContain(`HTTP  ${url}`);
    expect(commandsIn(lines).at(-1)).toBe(`npx fluo-kms status --address ${url}`);
  });

  it("are with TLS for a name in the certificate", () => {
    const lines = textOf({ ...open, tls }, ports);
    expect(lines).toContain("HTTP  https://127.0.0.1:8080");
    expect(commandsIn(lines)[0]).toBe("curl -s --cacert CA.pem https://HOST:8080/q/health/ready");
    expect(commandsIn(lines).at(-1)).toBe("npx fluo-kms status --address https://HOST:8080 --ca-cert CA.pem");
  });

  it("are with a policy what a caller may do, who needs a token", () => {
    const lines = textOf({ ...open, policyFile: "/etc/my kms/policy.yaml" }, ports);
    expect(commandsIn(lines)).toEqual([
      "curl -s http://127.0.0.1:8080/q/health/ready",
      "npx fluo-kms whoami --token-file TOKEN_FILE",
      "npx fluo-kms policy check '/etc/my kms/policy.yaml'",
    ]);
    const closed = textOf({ ...open, open: [], policyFile: "/p.yaml" }, ports);
    expect(commandsIn(closed)[0]).toBe("npx fluo-kms validate --token-file TOKEN_FILE");
  });
});
