/** What an operator should know of limits that acted in the last 10 min, a sentence each: for Status, and for Validate. */
import { type Notice, notice } from "../notices.ts";
import { type ActedLimit, fixedLimits } from "./log.ts";

const shown = 5;

/** Names whom a limit acts on, for Status. */
export function limitNotices(recent: readonly ActedLimit[]): Notice[] {
  return byChange(recent).map(([by, who]) => notice("LIMIT_ACTED", `In the last 10 min ${by} held back ${who}.`, by));
}

/** Says what to raise, or that the clients must change, for Validate. */
export function limitAdvice(recent: readonly ActedLimit[]): Notice[] {
  return byChange(recent).map(([by, who, isFixed]) => {
    const advice = isFixed
      ? `Look at ${who}: in the last 10 min ${by} held back their connections, and docs/KMS_TROUBLESHOOTING.md says why.`
      : `Raise ${by} if it is too low: in the last 10 min it held back ${who}.`;
    return notice("LIMIT_ACTED", advice, by);
  });
}

/** Names by what an operator changes. */
function byChange(recent: readonly ActedLimit[]): [by: string, who: string, isFixed: boolean][] {
  const groups = Map.groupBy(recent, ({ by }) => by);
  return [...groups].map(([by, acted]) => {
    const names = acted.slice(0, shown).map(({ limit, who }) => (limit === "tenant" ? `calls for ${who}` : who));
    const more = acted.length - names.length;
    const who = more === 0 ? names.join(", ") : `${names.join(", ")} and ${more} more`;
    return [by, who, acted.every(({ limit }) => fixedLimits.includes(limit))];
  });
}
