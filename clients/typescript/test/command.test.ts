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
const none = write("none.json", '{"resourceSpans":[]}');
const noExport = write("other.json", '{"spans":[]}');
const noKeys = write("no-keys.json", '{"keys":[],"keys":[]}');

interface Said {
  status: number | null;
  stdout: string;
}
const run = (program: readonly string[], args: readonly string[]): Said =>
  spawnSync(process.execPath, [...program, ...args], { encoding: "utf8", env: { PATH: process.env.PATH } });
const ours = (...args: string[]) => run([join(root, "clients", "typescript", "src", "command.ts")], args);
const theirs = (...args: string[]) => run([join(root, "src", "main.js"), "verify"], args);

/** Without the words behind a reason that is not OK, the width of columns, and the lines that the service's command alone has. */
const lines = ({ stdout }: Said) =>
  stdout
    .split("\n")
    .filter((line) => !/^(?:span +verdict|log) /.test(line))
    .map((line) => line.replace(/^(\S+ +(?!OK)[A-Z_]+) .*$/, "$1").replaceAll(/ +/g, " "));
const withoutMessages = ({ stdout }: Said) =>
  JSON.parse(stdout, (name, value: unknown) => (name === "message" ? undefined : value));

describe("the command", () => {
  it.each([
    ["spans that verify", [spans]],
    ["spans of a tenant", ["--tenant", "acme", spans]],
    ["spans of another tenant", ["--tenant", "globex", spans]],
    ["spans by a key that is trusted", ["--vkey", vkey.text, spans]],
    ["an altered span", [altered]],
    ["no span", [none]],
  ])("says of %s what the service's says", (_, args) => {
    const [own, other] = [ours("--keys", keys, ...args), theirs("--keys", keys, ...args)];
    expect([own.status, lines(own)]).toEqual([other.status, lines(other)]);
    const [ownJson, otherJson] = [ours("--keys", keys, "--json", ...args), theirs("--keys", keys, "--json", ...args)];
    expect(withoutMessages(ownJson)).toEqual(withoutMessages(otherJson));
  });

  it.each([
    ["no export", ["--keys", keys, noExport]],
    ["no key set", ["--keys", noKeys, spans]],
    ["a key that is not in the set", ["--keys", keys, "--vkey", `other+${vkey.text}`, spans]],
    ["no keys", [spans]],
    ["no spans", ["--keys", keys]],
    ["a file that is not there", ["--keys", keys, join(folder, "nothing")]],
    ["an option that it does not know", ["--keys", keys, "--other", spans]],
  ])("ends for %s with the code that the service's ends with", (_, args) => {
    expect(ours(...args).status).toBe(theirs(...args).status);
    expect(ours(...args).stdout).toBe("");
  });
});
