/** The command that verifies in each language, against the service's own: the same lines, the same JSON, the same exit code. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../../test/support/cli-fixture.ts";
import { type RunningService, startService } from "../../test/support/running-service.ts";
import { randomFrom } from "../../test/crash/random.ts";
import { message } from "../../test/support/otlp-wire.ts";
import { attributeFields, attributesOf, exportOf, resourceSpansOf } from "./judge/evidence.ts";
import { serviceTenant } from "./judge/service-tenant.ts";
import { atEnd, newFolder, whole } from "./programs.ts";

const tenant = "acme";
const folder = newFolder("verify-");
const file = (name: string, content: Uint8Array | string) => {
  writeFileSync(join(folder, name), content);
  return name;
};

let service: RunningService;
let vkey: string;
beforeAll(async () => {
  service = await startService();
  const source = await serviceTenant(service, tenant, 1);
  const r = randomFrom(3);
  const spans = Array.from({ length: 30 }, () => source.signed(r, 1)[0]!).map((signed) => ({
    ...signed,
    span: message(signed.span, ...attributeFields(attributesOf(signed))),
  }));
  const [first] = spans as [(typeof spans)[0]];
  file("keys.json", source.text.jwks);
  file("all.bin", exportOf(...spans.map(resourceSpansOf)));
  const good = spans.filter(({ evidence }) => evidence.kind === "log").slice(0, 3);
  file("one.bin", exportOf(resourceSpansOf(first)));
  file("good.bin", exportOf(...good.map(resourceSpansOf)));
  file(
    "altered.bin",
    exportOf(resourceSpansOf({ ...first, span: message(first.span, attributeFields([["x", "y"]])[0]!) })),
  );
  file("malformed.bin", exportOf(message(resourceSpansOf(first), Uint8Array.of(0x22, 0))));
  file("empty.bin", "");
  file("not-spans.txt", "these are no spans");
  file("bad-keys.json", '{"keys":[{"kty":"OKP"}]}');
  file("later-keys.json", `\ufeff${source.text.jwks.replace('"keys":[', '"keys":[{"kty":"AKP","pub":"AAAA"},')}`);
  file("unsigned.bin", exportOf(resourceSpansOf(first), resourceSpansOf(source.log[0]!)));
  const entries = source.log.map((signed) =>
    resourceSpansOf({ ...signed, span: message(signed.span, ...attributeFields(attributesOf(signed))) }),
  );
  file("log.bin", exportOf(...entries));
  file("removed.bin", exportOf(...entries.toSpliced(7, 3)));
  file("later.bin", exportOf(...entries.slice(4)));
  file("moved.bin", exportOf(...entries.with(3, entries[5]!).with(5, entries[3]!), entries[1]!));
  const checkpoint = await fetch(`${service.url}/api/kms/tenants/${tenant}/log/checkpoint`);
  file("checkpoint", await checkpoint.text());
  file("no-checkpoint", "these are no checkpoints");
  [vkey] = JSON.parse(source.text.jwks).keys[0].vkeys;
});
afterAll(() => service.stop());

const calls: [what: string, args: () => string[]][] = [
  ["spans of all kinds", () => ["--keys", "keys.json", "all.bin"]],
  ["one span of the tenant", () => ["--keys", "keys.json", "--tenant", tenant, "one.bin"]],
  ["spans of another tenant", () => ["--keys", "keys.json", "--tenant", "other", "all.bin"]],
  ["spans of a log from a first key", () => ["--keys", "keys.json", "--vkey", vkey, "good.bin"]],
  ["an altered span", () => ["--keys", "keys.json", "altered.bin"]],
  ["a malformed export", () => ["--keys", "keys.json", "malformed.bin"]],
  ["no spans", () => ["--keys", "keys.json", "empty.bin"]],
  ["a file of something else", () => ["--keys", "keys.json", "not-spans.txt"]],
  ["bad keys", () => ["--keys", "bad-keys.json", "one.bin"]],
  ["a vkey that is none", () => ["--keys", "keys.json", "--vkey", "x", "one.bin"]],
  ["a file that is not there", () => ["--keys", "keys.json", "nothing.bin"]],
  ["keys that are not there", () => ["--keys", "nothing.json", "one.bin"]],
  ["keys of kinds that are to come", () => ["--keys", "later-keys.json", "all.bin"]],
  ["spans without evidence", () => ["--keys", "keys.json", "unsigned.bin"]],
  ["a log that is whole", () => ["--log", "--keys", "keys.json", "--checkpoint", "checkpoint", "log.bin"]],
  ["a log without a checkpoint", () => ["--log", "--keys", "keys.json", "log.bin"]],
  ["a log from its first key", () => ["--log", "--keys", "keys.json", "--vkey", vkey, "log.bin"]],
  ["a log with spans removed", () => ["--log", "--keys", "keys.json", "--checkpoint", "checkpoint", "removed.bin"]],
  ["a log with spans moved", () => ["--log", "--keys", "keys.json", "moved.bin"]],
  ["a log in any order", () => ["--log", "--any-order", "--keys", "keys.json", "moved.bin"]],
  ["a part of a log", () => ["--log", "--from", "3", "--to", "20", "--keys", "keys.json", "log.bin"]],
  ["a log without its beginning", () => ["--log", "--keys", "keys.json", "--checkpoint", "checkpoint", "later.bin"]],
  ["a log among other spans", () => ["--log", "--keys", "keys.json", "all.bin"]],
  ["a log of an altered span", () => ["--log", "--keys", "keys.json", "altered.bin"]],
  ["a log without spans", () => ["--log", "--keys", "keys.json", "empty.bin"]],
  ["a checkpoint that is none", () => ["--log", "--keys", "keys.json", "--checkpoint", "no-checkpoint", "log.bin"]],
  ["a checkpoint that is not there", () => ["--log", "--keys", "keys.json", "--checkpoint", "nothing", "log.bin"]],
  ["a checkpoint without --log", () => ["--keys", "keys.json", "--checkpoint", "checkpoint", "log.bin"]],
  ["any order without --log", () => ["--keys", "keys.json", "--any-order", "log.bin"]],
  ["a part that is no number", () => ["--log", "--from", "03", "--keys", "keys.json", "log.bin"]],
  ["a part that is empty", () => ["--log", "--from", "5", "--to", "5", "--keys", "keys.json", "log.bin"]],
  ["no keys", () => ["one.bin"]],
  ["no file", () => ["--keys", "keys.json"]],
  ["an option that there is not", () => ["--keys", "keys.json", "--nothing", "one.bin"]],
];

/** Output without what may be said in other words, which is what follows a reason that is not OK, or a finding about a span of its own. */
function comparable(out: string): string[] {
  return out
    .trimEnd()
    .split("\n")
    .map((line) =>
      line
        .replace(/^(\S+\/\S+\s+(?!OK)[A-Z_]+)\s.*$/, "$1")
        .replace(/^( {2}(?:changed|foreign|unproven|unreadable) +entry \S+ +\S+)\s.*$/, "$1")
        .replace(/(\S)\s+/g, "$1 ")
        .trimEnd(),
    );
}

/** Messages are left out. Undefined for a wrong command line, which each command reports in its own way. */
function comparableJson({ code, out }: { code: number | null; out: string }): unknown {
  return code === 2 ? undefined : JSON.parse(out, (name, value) => (name === "message" ? undefined : value));
}

const said = new Map<string, ReturnType<typeof run>>();

/** The service's own command, once for all languages. */
function ours(...args: readonly string[]): ReturnType<typeof run> {
  const key = args.join("\0");
  const known = said.get(key) ?? run(["verify", ...args], { cwd: folder, finished: atEnd });
  said.set(key, known);
  return known;
}

describe.each(whole.map((language) => [language.title, language] as const))("%s", (_, language) => {
  const verify = (args: readonly string[]) => {
    const [program, ...first] = language.verify!();
    const { status, stdout } = spawnSync(program!, [...first, ...args], { cwd: folder, encoding: "utf8" });
    return { code: status, out: stdout };
  };

  it.each(calls)("says of %s what the service's own command says", async (_what, args) => {
    const [wanted, wantedJson] = await Promise.all([ours(...args()), ours("--json", ...args())]);
    const theirs = verify(args());
    expect(theirs.code).toBe(wanted.code);
    expect(comparable(theirs.out)).toEqual(comparable(wanted.out));
    const theirJson = verify(["--json", ...args()]);
    expect(theirJson.code).toBe(wantedJson.code);
    expect(comparableJson(theirJson)).toEqual(comparableJson(wantedJson));
  });
});
