/** Which kills come in which order: every named step first, then random ones. */
import { type StepName, stepNames } from "../../src/failpoints.ts";
import type { Random } from "./random.ts";

export type Target = "sqlite" | "postgres" | "database";

export type Kill =
  /** So long after the load began. */
  | { at: "load"; afterMs: number }
  /** So long after the process began. */
  | { at: "start"; afterMs: number }
  /** At the n-th time that the service is there, in a process that is in this `phase`. */
  | { at: "step"; step: StepName; nth: number; phase: Phase };

/** `empty`: it makes its store. `due`: it destroys keys. `rotating`: it rotates what is due. `load`: it is called. */
export type Phase = "empty" | "due" | "rotating" | "load";

export interface PlanOptions {
  target: Target;
  kills: number;
  random: Random;
  /** Nothing but kills at these steps. */
  only?: readonly StepName[] | undefined;
  /** Which named steps come before random kills; all of them unless told otherwise. */
  first?: readonly StepName[] | undefined;
}

const phases: Readonly<Partial<Record<StepName, Phase>>> = {
  "store-key.wrapped": "empty",
  "store-key.stored": "empty",
  "heads.begun": "empty",
  "destruction.stored": "due",
  "time.noted": "due",
  "sqlite.scrubbed": "due",
  "lease.taken": "rotating",
  "rotation.batch": "rotating",
};

const moves: readonly StepName[] = ["store-key.proven", "store-key.replaced", "rewrap.proven", "rewrap.stored"];

/** Keys that a store has at least before it moves them. */
export const keysToMove = 10;

/** Up to which time a step is let pass; 1 for those that are seldom. */
const most: Readonly<Partial<Record<StepName, number>>> = {
  "key.made": 25,
  "key.inserted": 25,
  "key.proven": 25,
  "key.activated": 25,
  "state.changed": 20,
  "log.appended": 15,
  "log.signed": 15,
  "rewrap.proven": keysToMove,
  "rewrap.stored": keysToMove,
  "destruction.stored": 3,
  "sqlite.began": 60,
  "sqlite.written": 60,
  "sqlite.committed": 60,
  "postgres.written": 60,
  "postgres.committed": 60,
  "heads.drafted": 5,
  "heads.renamed": 5,
};

const loadMs = 400;
const startMs = 800;
const killsAStore = 50;

/** The steps that there are in a service with this store. */
export function stepsOf(target: Target): StepName[] {
  if (target === "database") return []; // there the service goes on
  // Only SQLite's store notes that there is a heads file.
  const others = target === "sqlite" ? ["postgres."] : ["sqlite.", "heads.begun"];
  // Its store is not in a data directory. A service accepts no loss of a log, and finishes no upgrade; what it migrates is empty, and a backup is another process.
  const commands = ["directory.", "lost-log.", "schema.", "rows.", "upgrade.", "backup."];
  return stepNames.filter((name) => ![...commands, ...others].some((other) => name.startsWith(other)));
}

/** For these everything must be under the other provider key first. */
export function isMove(kill: Kill): boolean {
  return kill.at === "step" && moves.includes(kill.step);
}

/** By the store in which they happen; each begins empty. */
export function planOf({ target, kills, random, only, first = only }: PlanOptions): Kill[][] {
  const steps = (first ?? stepsOf(target)).map((step) => stepKill(step, random));
  const atFirst = steps.filter(({ phase }) => phase === "empty");
  const sure: Kill[] = steps.filter(({ phase }) => phase !== "empty");
  const stores: Kill[][] = [];
  for (let left = kills; left > 0; ) {
    const store: Kill[] = atFirst.slice(0, left);
    const isFull = () => store.length === Math.min(left, killsAStore);
    while (!isFull()) {
      const next = sure.shift() ?? randomKill(target, random, only);
      if (!mayFollow(target, store, next)) {
        sure.unshift(next);
        break;
      }
      store.push(next);
    }
    stores.push(store);
    left -= store.length;
  }
  return stores;
}

/** A lease outlives its holder by a minute of the database's own clock: another holder needs another database. */
function mayFollow(target: Target, store: readonly Kill[], next: Kill): boolean {
  return target === "sqlite" || !isRotating(next) || !store.some(isRotating);
}

function isRotating(kill: Kill): boolean {
  return kill.at === "step" && kill.phase === "rotating";
}

function randomKill(target: Target, random: Random, only: readonly StepName[] = stepsOf(target)): Kill {
  const steps = only.filter((step) => phases[step] !== "empty");
  const isOnly = only.length < stepsOf(target).length;
  const kind = random.weighted({ load: isOnly ? 0 : 6, start: isOnly ? 0 : 1.5, step: 3 });
  if (target === "database" || kind === "load") return { at: "load", afterMs: random.next() * loadMs };
  if (kind === "start") return { at: "start", afterMs: random.next() * startMs };
  return stepKill(random.pick(steps)!, random);
}

function stepKill(step: StepName, random: Random) {
  return { at: "step" as const, step, nth: 1 + random.below(most[step] ?? 1), phase: phases[step] ?? "load" };
}

export function nameOf(kill: Kill): string {
  return kill.at === "step" ? kill.step : `random, ${kill.at}`;
}
