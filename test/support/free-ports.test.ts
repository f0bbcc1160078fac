/** Ports for servers that cannot tell theirs. */
import { expect, it } from "vitest";
import { onFreePorts } from "./free-ports.ts";

it("tries other ports, one behind the other, until a server finds none of them taken", async () => {
  const tried: number[][] = [];
  const started = await onFreePorts(3, async (...ports) => {
    tried.push(ports);
    if (tried.length < 3) throw new Error("listen tcp 127.0.0.1:8200: bind: address already in use");
    return ports;
  });
  expect(started).toEqual(tried[2]);
  for (const [first = 0, ...others] of tried) {
    expect(first).toBeGreaterThanOrEqual(15_000);
    expect(others).toEqual([first + 1, first + 2]);
    expect(first + 2).toBeLessThan(32_000);
  }
});

it("does not try again what fails for another reason, nor for ever", async () => {
  let tries = 0;
  const failing = (message: string) => async () => {
    tries += 1;
    throw new Error(message);
  };
  await expect(onFreePorts(1, failing("no such file"))).rejects.toThrow("no such file");
  expect(tries).toBe(1);
  await expect(onFreePorts(1, failing("listen EADDRINUSE"))).rejects.toThrow("EADDRINUSE");
  expect(tries).toBe(21);
});
