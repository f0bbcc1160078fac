/**
 * What each row of the audit trail makes of a key, said independently of the service. A key may be in one of several situations where
 * the row alone does not tell: EnableKey gives RETIRED or ACTIVE by what else was ACTIVE when it looked.
 */
import type { State } from "./ledger.ts";

export interface Situation {
  state: State;
  previous: State | undefined;
  compromised: boolean;
}

export const born: Situation = { state: "ACTIVE", previous: undefined, compromised: false };

/** What may be after an action in a situation; nothing where the action must be refused then. */
export function after(action: string, situation: Situation): Situation[] {
  return transitions[action]?.(situation) ?? [];
}

const isEnabled = (state: State) => state === "ACTIVE" || state === "RETIRED";

const transitions: Readonly<Record<string, (situation: Situation) => Situation[]>> = {
  retire: (now) => (now.state === "ACTIVE" ? [{ ...now, state: "RETIRED" }] : []),

  disable: (now) => (isEnabled(now.state) ? [{ ...now, state: "DISABLED", previous: now.state }] : []),

  enable(now) {
    if (now.state !== "DISABLED" || now.compromised) return [];
    const retired: Situation = { ...now, state: "RETIRED", previous: undefined };
    return now.previous === "ACTIVE" ? [{ ...retired, state: "ACTIVE" }, retired] : [retired];
  },

  mark_compromised(now) {
    if (now.compromised) return [];
    const isEnding = now.state === "DESTROY_SCHEDULED" || now.state === "DESTROYED";
    if (isEnding) return [{ ...now, compromised: true }];
    return [{ state: "COMPROMISED", previous: now.state, compromised: true }];
  },

  schedule_destruction(now) {
    if (now.state === "DESTROY_SCHEDULED" || now.state === "DESTROYED") return [];
    const previous = isEnabled(now.state) ? now.state : now.previous;
    return [{ ...now, state: "DESTROY_SCHEDULED", previous }];
  },

  cancel_destruction(now) {
    if (now.state !== "DESTROY_SCHEDULED") return [];
    return [{ ...now, state: now.compromised ? "COMPROMISED" : "DISABLED" }];
  },

  rewrap: (now) => (now.state === "DESTROYED" ? [] : [now]),

  destroy: (now) => (now.state === "DESTROY_SCHEDULED" ? [{ ...now, state: "DESTROYED" }] : []),
};

/** Whether a data key in this state opens, for a caller who has every role: where there is no authentication, that of break-glass too. */
export function opens(state: State): boolean {
  return isEnabled(state) || state === "COMPROMISED";
}

/** Whether a key in this situation is answered as it is, because it is in the state that was asked for. */
export function isWished(action: string, { state, compromised }: Situation): boolean {
  if (action === "disable") return state === "DISABLED";
  if (action === "enable") return isEnabled(state);
  if (action === "mark_compromised") return compromised;
  if (action === "schedule_destruction") return state === "DESTROY_SCHEDULED";
  return action === "cancel_destruction" && (state === "DISABLED" || state === "COMPROMISED");
}
