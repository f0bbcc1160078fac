import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { linesForPeople, type Paint } from "../../src/telemetry/log-lines.ts";

const time = "2026-12-02T08:37:39.112Z";
const plain: Paint = (_, text) => text;
const marked: Paint = (format, text) => `<${[format].flat().join("+")}>${text}</>`;

function lineOf(fields: object, paint = plain): string {
  return linesForPeople(paint)(JSON.stringify({ level: 30, time, ...fields })).split("\n")[1]!;
}

describe("a line of the log for people", () => {
  it("has the time, the level, the message, and every other field", () => {
    const line = lineOf({ level: 40, code: "NO_AUTHENTICATION", count: 3, notices: ["a b"], msg: "Nobody is asked." });
    expect(line).toBe('08:37:39.112 WARN  Nobody is asked.  code=NO_AUTHENTICATION count=3 notices=["a b"]');
  });

  it("quotes a text that has spaces, or is empty, and shows a line without a message", () => {
    expect(lineOf({ path: "/a b", empty: "", is: "x=y" })).toBe('08:37:39.112 INFO  path="/a b" empty="" is="x=y"');
  });

  it.each([
    [10, "<cyan>TRACE</> "],
    [20, "<cyan>DEBUG</> "],
    [30, "<green>INFO</>  "],
    [40, "<black+bgYellow>WARN</>  "],
    [50, "<white+bgRed>ERROR</> "],
    [60, "<white+bgRed>FATAL</> "],
    [35, "<>35</>    "],
  ])("of level %i has its name in its colour", (level, name) => {
    expect(lineOf({ level, msg: "m" }, marked)).toBe(`08:37:39.112 ${name}m`);
  });

  it("follows the date where a day begins", () => {
    const line = linesForPeople(plain);
    const at = (moment: string) => line(JSON.stringify({ level: 30, time: moment, msg: "m" }));
    expect([at("2026-12-02T23:59:59.999Z"), at("2026-12-02T23:59:59.999Z"), at("2026-12-03T00:00:00.000Z")]).toEqual([
      "2026-12-02 (UTC)\n23:59:59.999 INFO  m\n",
      "23:59:59.999 INFO  m\n",
      "2026-12-03 (UTC)\n00:00:00.000 INFO  m\n",
    ]);
  });

  it("shows characters that steer a terminal as escapes, in names, messages and values", () => {
    const steering = ["\u001b[2J", "\u009b2J", "\u202e", "\u2028", "\r", "\n", "\u007f", "\u0000"];
    for (const each of steering) {
      const line = linesForPeople(plain)(
        JSON.stringify({
          level: 30,
          time,
          msg: `m${each}m`,
          [`n${each}`]: 1,
          bare: `v${each}v`,
          deep: { [each]: each },
        }),
      );
      expect(line.split("\n")).toHaveLength(3);
      expect(line.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u);
      expect(line).toMatch(/m\\u[0-9a-f]{4}.*m {2}/);
    }
  });

  it("has the whole of an error on one line, which the real logger writes", () => {
    const lines: string[] = [];
    const output = { write: (line: string) => void lines.push(line) };
    const log = pino(
      { base: null, timestamp: () => `,"time":"${time}"`, hooks: { streamWrite: linesForPeople(plain) } },
      output,
    );
    log.error({ err: new Error("no\nroute"), tenant: "acme\u001b[31m" }, "a call failed");
    expect(lines.join("").trimEnd().split("\n")).toEqual([
      "2026-12-02 (UTC)",
      expect.stringMatching(
        /^08:37:39\.112 ERROR a call failed {2}err=\{.*"message":"no\\nroute".*\} tenant=acme\\u001b\[31m$/,
      ),
    ]);
  });
});
