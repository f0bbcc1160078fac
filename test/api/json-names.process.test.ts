/** One tenant's JSON must not change how another's is read. */
import { expect, it } from "vitest";
import { allDoors, startAttacked } from "../support/name-attack.ts";

it("a name that any caller sends, by any door, changes nothing of how another's is read", async () => {
  const service = await startAttacked();
  for (const [number, door] of allDoors.entries()) {
    const stem = `n${number}-`;
    await service.attack(door, stem);
    expect({ door, problems: await service.problems(stem) }).toEqual({ door, problems: [] });
  }
});
