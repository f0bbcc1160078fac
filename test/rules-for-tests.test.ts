/**
 * Rules for the text of tests, read without comments. Tests do not depend on how fast the machine is: they read no clock, have no time-out of
 * their own, and do not sleep. None can crash its process by a defect of Node. A file that may break a rule is listed with the reason, and a
 * list holds no file that need not be in it.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

interface Rule {
  isBroken(code: string): boolean;
  /** True if the rule holds for the files of this path. */
  holdsFor(path: string): boolean;
  /** Reasons by file, or by folder, which ends with a slash. */
  except: Readonly<Record<string, string>>;
}

interface Text {
  path: string;
  code: string;
}

const clocks = ["now", "hrtime", "cpuUsage", "threadCpuUsage", "resourceUsage"].join("|");
const owners = ["performance", "Date", "process"].join("|");

const figures = "measures for figures";
const foreign = "waits for a server that the project did not make";
const load = "keeps a load up for a time";
const clock = "is the clock of others";

const rules: Readonly<Record<string, Rule>> = {
  "read no clock": {
    isBroken: matchesOneOf(
      new RegExp(String.raw`\b(?:${owners})\s*(?:\??\.\s*|\[\s*["'])(?:${clocks})\b`),
      new RegExp(String.raw`\{[^{}]*\b(?:${clocks})\b[^{}]*\}\s*(?:=\s*(?:${owners})\b|from "node:process")`),
      /(?:[+-]\s*|\bNumber\()new Date\(\)|\bnew Date\(\)(?:\.(?:getTime|valueOf)\(\))?\s*-/,
    ),
    holdsFor: () => true,
    except: {
      "test/architecture.test.ts": "has cases of another rule as text",
      "test/bulk-streams/": figures,
      "test/callers/renewal.spec.ts": load,
      "test/cli/commands/note-check.test.ts": "compares dates that the service notes with those before and after",
      "test/crash/": "orders what was asked and answered, and measures the slowest start",
      "test/durable/": figures,
      "test/flips/": "waits without Vitest",
      "test/fuzz/": figures,
      "test/monitoring/": load,
      "test/outage/": figures,
      "test/providers/": foreign,
      "test/start-fails.process.test.ts": "waits in a process without Vitest",
      "test/support/from-now.ts": clock,
      "test/support/measured.ts": figures,
      "test/support/refusal-flood.ts": figures,
    },
  },
  "have no time-out of their own": {
    isBroken: matchesOneOf(
      /(?<![\w-])timeout: |\{\s*timeout[,\s]/,
      /\bvi\.wait(?:For|Until)\b/,
      /\bAbortSignal\.timeout\(/,
      /^ *\}, (?:[\d_]+|\w*(?:[pP]atience|[tT]imeout|Ms))\);$/m,
    ),
    holdsFor: (path) => /\.(?:test|spec)\.ts$/.test(path) || path.startsWith("test/support/"),
    except: {
      "clients/typescript/test/signing-exporter.test.ts": "counts spans that were lost for this reason",
      "clients/typescript/test/span-signer.test.ts": "gives up a call that nobody answers",
      "test/architecture.test.ts": "has cases of another rule as text",
      "test/support/after-step.ts": "has the time of expect.poll, which means hung",
      "test/support/balancer.ts": "looks as a balancer does",
      "test/support/cli-store-fixture.ts": "has SQLite wait for a lock",
      "test/support/eventually.ts": "gives all the same",
      "test/support/hung.ts": "gives all the same",
      "test/support/store-fixture.ts": "has SQLite wait for a lock",
    },
  },
  "do not sleep in the first tier": {
    isBroken: matchesOneOf(/\bsetTimeout\b[^\n]*"node:timers\/promises"/, /\bsetTimeout\(/),
    holdsFor: (path) => path.endsWith(".test.ts") && !path.endsWith(".process.test.ts"),
    except: {
      "clients/typescript/test/signing-exporter.test.ts": "opens a way while the exporter retries",
      "clients/typescript/test/span-signer.test.ts": "opens a way while the signer retries",
      "test/architecture.test.ts": "has cases of another rule as text",
      "test/api/too-many-readers.test.ts": "retries a lock that PostgreSQL refuses",
      "test/provider/resilience.test.ts": "has fake timers",
      "test/runtime/loop-lag.test.ts": "measures a loop between two looks",
      "test/store/postgres/open.test.ts": "shows that a notification is not passed on",
      "test/store/sqlite/open.test.ts": "shows that a watch does nothing",
      "test/store/volume.test.ts": "shows that nothing is read",
      "test/transport/grpc/door.test.ts": "is a door that takes time",
      "test/transport/grpc/reflection.test.ts": "is a client that reads as it asks",
      "test/transport/grpc/stream/memory.test.ts": "gives bytes the time to arrive",
      "test/transport/http/slow-bodies.test.ts": "is a client that is slow",
      "test/transport/listening.test.ts": "has fake timers",
    },
  },
  "destroy no session of HTTP/2 in the turn of an answer": {
    isBroken: matchesOneOf(/\bsession\??\.destroy\(/),
    holdsFor: () => true,
    except: { "test/support/destroy-session.ts": "does so in a turn of its own" },
  },
};

function matchesOneOf(...patterns: readonly RegExp[]): (code: string) => boolean {
  return (code) => patterns.some((pattern) => pattern.test(code));
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

function readTests(): Text[] {
  const root = join(import.meta.dirname, "..");
  const paths = globSync(["test/**/*.ts", "clients/typescript/test/**/*.ts"], { cwd: root });
  return paths
    .map((path) => path.replaceAll("\\", "/"))
    .sort()
    .map((path) => ({ path, code: withoutComments(readFileSync(join(root, path), "utf8")) }));
}

/** Returns the files that break a rule and are not excepted from it, and the exceptions of which no file has need. */
function wrongOf({ isBroken, holdsFor, except }: Rule, texts: readonly Text[]): string[] {
  const found = texts.filter(({ path, code }) => holdsFor(path) && isBroken(code)).map(({ path }) => path);
  const covers = (listed: string, path: string) => (listed.endsWith("/") ? path.startsWith(listed) : path === listed);
  const listed = Object.keys(except);
  return [
    ...found.filter((path) => !listed.some((each) => covers(each, path))),
    ...listed.filter((each) => !found.some((path) => covers(each, path))),
  ];
}

describe("tests", () => {
  // This file quotes what it looks for.
  const texts = readTests().filter(({ path }) => path !== "test/rules-for-tests.test.ts");

  it("are found", () => {
    expect(texts.length).toBeGreaterThan(700);
  });

  it.each(Object.entries(rules))("%s", (_says, rule) => {
    expect(wrongOf(rule, texts)).toEqual([]);
  });
});

describe("a rule about time", () => {
  const [noClock, noTimeOut, noSleep] = Object.values(rules);

  it.each<[rule: Rule | undefined, code: string]>([
    [noClock, "const at = performance.now();"],
    [noClock, "const at = performance\n  .now();"],
    [noClock, 'const at = Date["now"]();'],
    [noClock, "const clock = Date.now;"],
    [noClock, "const { now } = performance;"],
    [noClock, "const took = new Date().getTime() - began;"],
    [noClock, "const took = Number(new Date());"],
    [noClock, "const took = began - new Date();"],
    [noClock, "const used = process.cpuUsage(before);"],
    [noClock, "const at = process.hrtime.bigint();"],
    [noClock, 'import { hrtime } from "node:process";'],
    [noTimeOut, "beforeAll(async () => {\n}, 60_000);"],
    [noTimeOut, "it(says, async () => {\n}, slowMs);"],
    [noTimeOut, "describe(says, { timeout: 5 }, () => {"],
    [noTimeOut, "it(says, {\n  timeout,\n}, async () => {"],
    [noTimeOut, "await expect.poll(look, { timeout: 5 }).toBe(1);"],
    [noTimeOut, "await vi.waitFor(look);"],
    [noTimeOut, "await call({ signal: AbortSignal.timeout(5) });"],
    [noSleep, 'import { setTimeout as delay } from "node:timers/promises";'],
    [noSleep, "await new Promise((resolve) => setTimeout(resolve, 5));"],
  ])("%#: is broken by its cases", (rule, code) => {
    const path = "test/keys/a.test.ts";
    const alone = { ...rule!, except: {} };
    expect(wrongOf(alone, [{ path, code }])).toEqual([path]);
    expect(wrongOf({ ...alone, except: { [path]: "a reason" } }, [{ path, code }])).toEqual([]);
    expect(wrongOf({ ...alone, except: { "test/keys/": "a reason" } }, [{ path, code }])).toEqual([]);
    expect(wrongOf({ ...alone, except: { [path]: "a reason" } }, [{ path, code: "work();" }])).toEqual([path]);
  });

  it.each([
    "// performance.now() and setTimeout(resolve, 5)",
    "const at = new Date();",
    "const at = { deadline: fromNow(5) };",
    'vi.spyOn(performance, "now").mockReturnValue(5);',
  ])("is not broken by %s", (text) => {
    const texts = [{ path: "test/keys/a.test.ts", code: withoutComments(text) }];
    expect(Object.values(rules).flatMap((rule) => wrongOf({ ...rule, except: {} }, texts))).toEqual([]);
  });
});
