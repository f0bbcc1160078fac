/** `fluo-kms-verify` beside the service's own `verify`. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..", "..", "..");
const folder = mkdtempSync(join(tmpdir(), "fluo-kms-command-"));
afterAll(() => rmSync(folder, { recursive: true }));

const vector = (name: string) => JSON.parse(readFileSync(join(root, "test", "vectors", "span", name), "utf8"));
const { publicKey, keyId, vkey } = vector("accepted.json");
const exported = vector("exported.json");
const write = (name: string, content: string | Uint8Array) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

const jwk = { kty: "OKP", crv: "Ed25519", kid: keyId, state: "ACTIVE", vkeys: [vkey.text] };
const x = Buffer.from(publicKey, "hex").toString("base64url");
const keys = write("keys.json", JSON.stringify({ keys: [{ ...jwk, x }] }));
const spans = write("spans.bin", Buffer.from(exported.protobuf, "hex"));
const json = Object.values(exported.json)[0] as string;
const altered = write("altered.json", json.replace("decided", "undecided"));
const unsigned = write("unsigned.json", json.replaceAll("audit.integrity.", "audit.other."));
const noText = write("no-text.json", Uint8Array.of(0xff));
const none = write("none.json", '{"resourceSpans":[]}');
const noExport = write("other.json", '{"spans":[]}');
const noKeys = write("no-keys.json", '{"keys":[],"keys":[]}');

interface Said {
  status: number | null;
  stdout: string;
  stderr: string;
}
const run = (program: readonly string[], args: readonly string[]): Said =>
  spawnSync(process.execPath, [...program, ...args], { encoding: "utf8", env: { PATH: process.env.PATH } });
const ours = (...args: string[]) => run([join(root, "clients", "typescript", "src", "command.ts")], args);
const theirs = (...args: string[]) => run([join(root, "src", "main.js"), "verify"], args);

/** Leaves out the words behind a reason that is not OK, and behind a finding about a single span. */
const lines = ({ stdout }: Said) =>
  stdout
    .split("\n")
    .map((line) =>
      line
        .replace(/^(\S+\/\S+ +(?!OK)[A-Z_]+) .*$/, "$1")
        .replace(/^( {2}(?:changed|foreign|unproven|unreadable) +entry \S+ +\S+) .*$/, "$1"),
    );
const withoutMessages = ({ stdout }: Said) =>
  JSON.stringify(JSON.parse(stdout, (name, value: unknown) => (name === "message" ? undefined : value)));

function expectLinesOfTheService(...args: string[]): Said {
  const [own, other] = [ours(...args), theirs(...args)];
  expect([own.status, lines(own)]).toEqual([other.status, lines(other)]);
  return own;
}

function expectJsonOfTheService(...args: string[]): Said {
  const [own, other] = [ours("--json", ...args), theirs("--json", ...args)];
  // Text, so that members are in the same order.
  expect([own.status, withoutMessages(own)]).toEqual([other.status, withoutMessages(other)]);
  return own;
}

describe("the command", () => {
  it.each([
    ["spans that verify", [spans]],
    ["spans of a tenant", ["--tenant", "acme", spans]],
    ["spans of another tenant", ["--tenant", "globex", spans]],
    ["spans by a key that is trusted", ["--vkey", vkey.text, spans]],
    ["an altered span", [altered]],
    ["spans without evidence", [unsigned]],
    ["no span", [none]],
  ])("says of %s what the service's says", (_, args) => {
    expectLinesOfTheService("--keys", keys, ...args);
    expectJsonOfTheService("--keys", keys, ...args);
  });

  it.each([
    ["no export", ["--keys", keys, noExport]],
    ["no key set", ["--keys", noKeys, spans]],
    ["a key set that is not UTF-8", ["--keys", noText, spans]],
    ["a key that is not in the set", ["--keys", keys, "--vkey", `other+${vkey.text}`, spans]],
    ["no keys", [spans]],
    ["no spans", ["--keys", keys]],
    ["a file that is not there", ["--keys", keys, join(folder, "nothing")]],
    ["an option that it does not know", ["--keys", keys, "--other", spans]],
    ["a checkpoint without --log", ["--keys", keys, "--checkpoint", spans, spans]],
    ["any order without --log", ["--keys", keys, "--any-order", spans]],
    ["a size that is none", ["--log", "--keys", keys, "--from", "07", spans]],
    ["a range without entries", ["--log", "--keys", keys, "--from", "7", "--to", "7", spans]],
    ["a checkpoint that is not there", ["--log", "--keys", keys, "--checkpoint", join(folder, "nothing"), spans]],
    ["a checkpoint that is none", ["--log", "--keys", keys, "--checkpoint", keys, spans]],
  ])("ends for %s with the code that the service's ends with", (_, args) => {
    const { status, stdout } = ours(...args);
    expect([status, stdout]).toEqual([theirs(...args).status, ""]);
  });

  it.each([
    ["--from", "-1", "--from needs a value; one that begins with a dash is --from=-…"],
    ["--other", "x", "Unknown option '--other'"],
  ])("says in a line what is wrong with %s %s", (name, value, message) => {
    expect(ours("--log", "--keys", keys, name, value, spans).stderr).toBe(`fluo-kms-verify: ${message}\n`);
  });

  it("tells that the keys file has keys of later kinds, where a span's key is unknown", () => {
    const others = [{ kty: "AKP", pub: "" }, { kty: "EC" }];
    const later = write("later.json", `\ufeff${JSON.stringify({ keys: others })}`);
    expect(expectLinesOfTheService("--keys", later, spans).stdout).toContain(
      "UNKNOWN_KEY  no such key of this tenant in the keys file, which has 2 keys of a kind that is unknown here\n",
    );
  });
});

interface LogCase {
  name: string;
  jwks: string;
  tenant?: string;
  export: string;
  log: { checkpoints?: string[]; from?: number; to?: number; anyOrder?: boolean };
}
const logs: LogCase[] = JSON.parse(readFileSync(join(root, "test", "vectors", "log", "logs.json"), "utf8"));

/** The first key of the logs. */
const [firstKey] = JSON.parse(logs[0]!.jwks).keys[0].vkeys as [string];

/** The command line of a vector whose keys file may be another. */
function argsOf(name: string, jwks?: string): string[] {
  const given = logs.find((each) => each.name === name)!;
  const { checkpoints = [], from, to, anyOrder } = given.log;
  const sizes = Object.entries({ from, to }).filter(([, size]) => size !== undefined);
  return [
    ...["--keys", write("log-keys.json", jwks ?? given.jwks)],
    ...checkpoints.flatMap((text, i) => ["--checkpoint", write(`checkpoint-${i}`, text)]),
    ...sizes.flatMap(([option, size]) => [`--${option}`, String(size)]),
    ...(anyOrder ? ["--any-order"] : []),
    ...(given.tenant === undefined ? [] : ["--tenant", given.tenant]),
    write("log-spans.bin", Buffer.from(given.export, "base64")),
  ];
}

describe("the command with --log", () => {
  it.each([
    [
      "all of a log",
      "not checked, without a --checkpoint: whether the log was cut off behind entry 7, or written anew",
    ],
    ["several checkpoints in one file", "agrees"],
    ["two spans swapped, in any order", "not checked, with --any-order: the order of the spans"],
    ["another history, against a checkpoint", "does not agree"],
    ["a span changed", "changed"],
    ["another tenant", "foreign"],
    ["a span that is signed apart", "1 span is signed apart, in no log: whether others are missing does not show"],
    ["a log that has ended", "it ended at"],
    ["a last key that is compromised", "compromised"],
    ["no spans", "there are no spans of a log in the file"],
  ])("says of %s what the service's says", (name, says) => {
    expect(expectLinesOfTheService("--log", ...argsOf(name)).stdout).toContain(says);
  });

  it("prints the JSON that the service's prints", () => {
    expectJsonOfTheService("--log", ...argsOf("another history, against a checkpoint"));
    expectJsonOfTheService("--log", ...argsOf("a log that has ended"));
  });

  it("says without it which entries of a log verify", () => {
    const { stdout } = expectLinesOfTheService(...argsOf("three spans removed"));
    expect(stdout).toMatch(/^log \S+: .* between are not in this file\); --log checks that none is missing$/m);
  });

  it("ends in what was checked and what does not show", () => {
    const last = (...args: string[]) =>
      ours(...args)
        .stdout.trimEnd()
        .split("\n")
        .slice(-2);
    const each = argsOf("all of a log");
    expect(last(...each)).toEqual([
      "The following checks were performed: each span's signature or log proof; the state of each key.",
      "Not shown: that what a span says is true; spans never sent or sampled away; whether spans are missing; whose the keys are.",
    ]);
    expect(last("--log", ...each)).toEqual([
      "The following checks were performed: each span's signature or log proof; the state of each key; " +
        "that no entry is missing, repeated or rewritten; the order of the spans.",
      "Not shown: that what a span says is true; spans never sent or sampled away; what came after the last entry; " +
        "whether the log was cut off or written anew; whose the keys are.",
    ]);
    const kept = argsOf("checkpoints that were kept");
    expect(last("--log", "--any-order", "--vkey", firstKey, ...kept)).toEqual([
      "The following checks were performed: each span's signature or log proof; the state of each key; " +
        "that no entry is missing, repeated or rewritten; the kept checkpoints; that the keys follow from a --vkey.",
      "Not shown: that what a span says is true; spans never sent or sampled away; what came after the last entry; " +
        "that a checkpoint binds a party that kept it itself.",
    ]);
  });

  it.each([
    ["no spans", ["there are no spans of a log in the file"]],
    ["spans that are signed apart alone", [expect.any(String), "there are no spans of a log in the file"]],
  ])("ends so only where a log was checked, and not for %s", (name, all) => {
    expect(
      ours("--log", ...argsOf(name))
        .stdout.trimEnd()
        .split("\n"),
    ).toEqual(all);
  });

  it("lets nothing through that steers a terminal", () => {
    const [{ jwks }] = logs as [LogCase];
    const args = argsOf("all of a log", jwks.replaceAll('"kid": "', '"kid": "\u202e\u2028\u009b\\u001b'));
    const { stdout } = expectLinesOfTheService(...args);
    expect(stdout).toContain("  ????0000");
    const json = expectJsonOfTheService(...args).stdout;
    expect(json).toContain('"\\u202e\\u2028\\u009b\\u001b0000');
    expect(stdout + json).not.toMatch(/\p{Bidi_Control}|\u2028|(?!\n)\p{Cc}/u);
  });
});
