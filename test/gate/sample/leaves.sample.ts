import { it } from "vitest";

it("leaves something behind", () => {
  Object.assign(globalThis, { left: true });
});
