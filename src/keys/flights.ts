/** Loads that are under way: one a key at a time, whoever waits for it and whoever stops waiting. */
import type { LoadReason } from "./stale-policy.ts";

export interface Flight<V> {
  promise: Promise<V>;
  /** Began before a change of its key. */
  overtaken: boolean;
  readonly beganAt: number;
  readonly reason: LoadReason;
}

export interface Flights<V> {
  /** The load of `key` that is under way, or a new one by `begin`. */
  join(key: string, begin: () => NewFlight<V>): Flight<V>;
  /** The key has changed: the load that is under way goes to its waiters alone, and the next one to join begins another. */
  overtake(key: string): void;
  keys(): string[];
}

export interface NewFlight<V> extends Pick<Flight<V>, "beganAt" | "reason"> {
  land(flight: Flight<V>): Promise<V>;
}

export function createFlights<V>(): Flights<V> {
  const flights = new Map<string, Flight<V>>();

  return {
    join(key, begin) {
      const running = flights.get(key);
      if (running !== undefined) return running;
      const { land, ...began } = begin();
      const flight = { overtaken: false, ...began } as Flight<V>;
      flights.set(key, flight);
      flight.promise = land(flight).finally(() => {
        if (flights.get(key) === flight) flights.delete(key);
      });
      return flight;
    },

    overtake(key) {
      const flight = flights.get(key);
      if (flight !== undefined) flight.overtaken = true;
      flights.delete(key);
    },

    keys: () => [...flights.keys()],
  };
}
