/**
 * A line of the log as people read it on a terminal: `08:37:39.112 WARN  message  code=KEY_IN_MEMORY`. Every field is there. A line
 * with the date stands before the first line of a day; times are UTC, as in everything else that the service writes.
 */
import type { styleText } from "node:util";
import { escaped, steering } from "../encoding/steering.ts";

/** Colours a text where the terminal shows colours. */
export type Paint = (format: Parameters<typeof styleText>[0], text: string) => string;

/** By pino's numbers. Warnings and errors stand out on light and on dark terminals alike. */
const levels: Readonly<Record<number, [name: string, format: Parameters<Paint>[0]]>> = {
  10: ["TRACE", "cyan"],
  20: ["DEBUG", "cyan"],
  30: ["INFO", "green"],
  40: ["WARN", ["black", "bgYellow"]],
  50: ["ERROR", ["white", "bgRed"]],
  60: ["FATAL", ["white", "bgRed"]],
};

/** Returns what makes lines for people of pino's lines of JSON. */
export function linesForPeople(paint: Paint): (json: string) => string {
  let day = "";
  return (json) => {
    const { level, time, msg = "", ...fields } = JSON.parse(json) as { level: number; time: string; msg?: string };
    const [date, clock] = time.slice(0, -1).split("T") as [string, string];
    const [name, format] = levels[level] ?? [String(level), []];
    const texts = Object.entries(fields).map(([key, value]) => `${key}=${valueText(value)}`);
    const line = [msg, texts.join(" ")].filter((text) => text !== "").join("  ");
    const dated = date === day ? "" : `${paint("bold", `${date} (UTC)`)}\n`;
    day = date;
    return `${dated}${clock} ${paint(format, name)}${" ".repeat(Math.max(1, 6 - name.length))}${line.replace(steering, escaped)}\n`;
  };
}

/** A text without spaces as it is, all else as JSON. */
function valueText(value: unknown): string {
  return typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
