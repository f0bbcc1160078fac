/** Imported before the service is: a week between passes over the store lasts 200 ms. */
import { syncBuiltinESMExports } from "node:module";
import timers from "node:timers/promises";

const weekMs = 7 * 86_400_000;
const { setTimeout } = timers;

timers.setTimeout = (ms, ...given) => setTimeout(ms === weekMs ? 200 : ms, ...given);
syncBuiltinESMExports();
