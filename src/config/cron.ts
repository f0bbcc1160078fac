/**
 * A Quartz cron expression: seconds first, six fields or seven with the year, Sunday is 1, `?` for "no matter". The scheduler's parser
 * takes all of that but Quartz's `5/15` ("from 5, every 15"), which is rewritten to its range, `5-59/15`. White space and `#` end it, as
 * expressions are pasted with a comment behind them; `6#3`, the third Friday, has none.
 */
import { Cron } from "croner";
import { type Parser, Refusal } from "./value.ts";

/** The greatest value of seconds, minutes, hours, day of month, month, day of week. */
const greatest = [59, 59, 23, 31, 12, 7];

export const quartzCron: Parser<string> = (text) => {
  const fields = text.replace(/\s+#.*/s, "").split(/\s+/);
  if (fields.length !== 6 && fields.length !== 7) {
    throw new Refusal(
      `must be a Quartz expression of six or seven fields, seconds first, such as 0 0 2 * * ?, not of ${fields.length}`,
    );
  }
  const expression = fields.map(withRange).join(" ");
  if (nextRun(expression) === null) throw new Refusal("never comes about; use a date that exists and is not over");
  return expression;
};

function withRange(field: string, index: number): string {
  return field.replace(/(^|,)(\d+)\/(\d+)(?=,|$)/g, (whole, before: string, from: string, step: string) =>
    index < greatest.length ? `${before}${from}-${greatest[index]}/${step}` : whole,
  );
}

function nextRun(expression: string): Date | null {
  try {
    return new Cron(expression, { paused: true, timezone: "UTC", alternativeWeekdays: true }).nextRun();
  } catch (error) {
    throw new Refusal(`is not a Quartz expression (${reason(error)}); an example is 0 0 2 * * ?`);
  }
}

function reason(error: unknown): string {
  return String((error as Error).message)
    .replace(/^CronPattern: /, "")
    .replace(/\.$/, "");
}
