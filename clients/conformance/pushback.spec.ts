/** Clients of a service that is away, or says when to come again: what is repeated, how often, and what is not. */
import { expect, it, onTestFinished } from "vitest";
import { chosen, newFolder, runProgram } from "./programs.ts";
import { pushbackMs, startPushbackServer } from "./pushback-server.ts";

it.each(chosen.map((language) => [language.title, language] as const))(
  "are repeated as the service asks in %s",
  async (_, language) => {
    const server = await startPushbackServer();
    onTestFinished(() => server.stop());
    const told = await runProgram(language, "pushback", { service: server.address, work: newFolder() });
    expect(told.failures).toEqual([]);
    const counts = Object.fromEntries([...server.calls].map(([called, times]) => [called, times.length]));
    const once = { "Rotate always": 1, "Validate always": 1, "VerifyAudit ": 1, "DisableKey always": 1 };
    const never = { "Status never": 1, "Status invalid": 1 };
    expect(counts).toEqual({
      "Status unavailable-twice": 3,
      "GetCheckpoint unavailable-twice": 3,
      "ListKeys unavailable-twice": 3,
      "Status exhausted-once": 2,
      "Status always": 4,
      ...once,
      ...never,
      "Status details": 1,
    });
    const [before, after] = server.calls.get("Status exhausted-once") as [number, number];
    // A timer may be early by part of a millisecond.
    expect(after - before).toBeGreaterThanOrEqual(pushbackMs - 2);
  },
);
