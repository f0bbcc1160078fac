/** Ports for servers that cannot take any port and tell which. */
import { randomInt } from "node:crypto";

const mostTries = 20;
const taken = /address already in use|EADDRINUSE/i;

/**
 * Starts a server on so many ports, one behind the other, and returns what `start` returns. `start` rejects with the server's own words; if these
 * say that a port is taken, others are tried. The ports lie below those that systems give out by themselves, so that nobody is given one of
 * them while the server is down.
 */
export async function onFreePorts<Started>(
  count: number,
  start: (...ports: number[]) => Promise<Started>,
): Promise<Started> {
  for (let tries = 1; ; tries++) {
    const first = randomInt(15_000, 32_000 - count);
    try {
      return await start(...Array.from({ length: count }, (_, at) => first + at));
    } catch (error) {
      if (tries === mostTries || !taken.test(String(error))) throw error;
    }
  }
}
