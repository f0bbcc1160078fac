/** Preloaded into the service: its wait of FLUO_HELD_MS before the drain ends at SIGUSR2, and not before. */
import { syncBuiltinESMExports } from "node:module";
import timers from "node:timers/promises";

const heldMs = Number(process.env.FLUO_HELD_MS);
const { setTimeout } = timers;

timers.setTimeout = <T>(ms?: number, value?: T, ...options: []) =>
  ms === heldMs
    ? new Promise<T>((resolve) => process.once("SIGUSR2", () => resolve(value as T)))
    : setTimeout(ms, value, ...options);
syncBuiltinESMExports();
