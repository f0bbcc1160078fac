import { Cron } from "croner";
import { describe, expect, it } from "vitest";
import { quartzCron } from "../../src/config/cron.ts";
import { nearestName } from "../../src/encoding/nearest.ts";
import { currencyCode, decimal, duration, issuerName, trueOrFalse, wholeNumber } from "../../src/config/value.ts";

describe("durations", () => {
  const parse = duration("500ms", "7d");

  it.each([
    ["500ms", 500],
    ["20s", 20_000],
    ["60m", 3_600_000],
    ["4h", 14_400_000],
    ["7d", 604_800_000],
  ])("read %s", (text, ms) => expect(parse(text)).toBe(ms));

  it.each(["499ms", "8d", "60", "1.5h", "-1s", "1 s", "1H", "PT1H", "s", "1w"])("refuse %s", (text) => {
    expect(() => parse(text)).toThrow("from 500ms to 7d");
  });
});

it.each(["", "1.0", "0x10", "1e3", "-1", "65536", "+1", "９"])("whole numbers refuse %j", (text) => {
  expect(() => wholeNumber(0, 65_535)(text)).toThrow("whole number");
});

describe("prices", () => {
  const parse = decimal(1_000_000);

  it.each([
    ["0", 0],
    ["0.03", 0.03],
    ["1", 1],
    ["12.000000001", 12.000000001],
    ["1000000", 1_000_000],
  ])("read %s", (text, value) => expect(parse(text)).toBe(value));

  it.each([
    "-1",
    "+1",
    "0,03",
    "1,000",
    ".5",
    "1.",
    "1e3",
    "$1",
    "1 USD",
    "NaN",
    "Infinity",
    "0x1",
    "1000000.1",
    "1.0.0",
  ])("refuse %s", (text) => {
    expect(() => parse(text)).toThrow(
      `a number from 0 to 1000000 such as 0.03, with a point and at most nine digits after it, not "${text}"`,
    );
  });

  it("refuse a digit more than there is room for", () => {
    expect(() => parse("0.0000000001")).toThrow("nine digits");
  });

  it("are in a currency of three capitals", () => {
    expect(currencyCode("EUR")).toBe("EUR");
    for (const text of ["eur", "EURO", "$", "US", "E UR"]) expect(() => currencyCode(text)).toThrow("such as USD");
  });
});

it("true and false are read in any case, and nothing else is", () => {
  expect([trueOrFalse("true"), trueOrFalse("FALSE")]).toEqual([true, false]);
  for (const text of ["yes", "1", "on"]) expect(() => trueOrFalse(text)).toThrow("true, false");
});

it("issuers are host names with a port and a path", () => {
  for (const text of ["kms.example.com", "localhost:8080", "a.b/c/d_e"]) expect(issuerName(text)).toBe(text);
  for (const text of ["https://a", "A", "a b", "a+b", "a/", "a:x", "a?b"])
    expect(() => issuerName(text)).toThrow("host name");
});

describe("cron expressions", () => {
  const next = (text: string) => {
    const cron = new Cron(quartzCron(text), { paused: true, timezone: "UTC", alternativeWeekdays: true });
    return cron.nextRuns(3, "2026-01-01T00:00:00Z").map((date) => date.toISOString().slice(0, 16));
  };

  it("are Quartz's: seconds first, Sunday is 1, a step from a number", () => {
    expect(next("0 0 2 * * ?")).toEqual(["2026-01-01T02:00", "2026-01-02T02:00", "2026-01-03T02:00"]);
    expect(next("0 0 2 ? * 1")).toEqual(["2026-01-04T02:00", "2026-01-11T02:00", "2026-01-18T02:00"]);
    expect(next("0 5/20 2 * * ? 2026")).toEqual(["2026-01-01T02:05", "2026-01-01T02:25", "2026-01-01T02:45"]);
    expect(next("0 0 2 1/15 * ?")).toEqual(["2026-01-01T02:00", "2026-01-16T02:00", "2026-01-31T02:00"]);
  });

  it("end at white space and #, where a comment begins; Quartz's third Friday goes on", () => {
    expect(quartzCron("0 0 2 * * ?  # Daily at 2 AM")).toBe("0 0 2 * * ?");
    expect(quartzCron("0 0 2 * * ? 2099\t#yearly # twice")).toBe("0 0 2 * * ? 2099");
    expect(next("0 0 2 ? * 6#3")).toEqual(["2026-01-16T02:00", "2026-02-20T02:00", "2026-03-20T02:00"]);
    expect(next("0 0 2 ? * 6#3 # third Friday")).toEqual(next("0 0 2 ? * 6#3"));
  });

  it.each([
    ["0 0 2 * # * ?", "six or seven fields"],
    ["# Daily at 2 AM", "six or seven fields"],
    ["0 0 2 ? * 6# third Friday", "six or seven fields"],
    ["0 2 * * *", "six or seven fields"],
    ["@daily", "six or seven fields"],
    ["2030-01-01T00:00:00", "six or seven fields"],
    ["61 0 2 * * ?", "is not a Quartz expression"],
    ["0 0 2 ? * 0", "is not a Quartz expression"],
    ["0 0 2 30 2 ?", "never comes about"],
    ["0 0 2 * * ? 2020", "never comes about"],
  ])("refuse %s: %s", (text, why) => expect(() => quartzCron(text)).toThrow(why));
});

it("the nearest name is near, or none", () => {
  expect(nearestName("statsu", ["serve", "status"])).toBe("status");
  expect(nearestName("xyzzy", ["serve", "status"])).toBeUndefined();
  expect(nearestName("ab", ["xy"])).toBeUndefined();
});
