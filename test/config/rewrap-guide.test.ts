/** The settings in docs/REWRAP.md are ones that the service takes, and name two provider keys as the guide says. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { otherName, type SettingName, settingNames } from "../../src/config/known-settings.ts";
import { load } from "../support/config-fixture.ts";

const guide = readFileSync(join(import.meta.dirname, "..", "..", "docs", "REWRAP.md"), "utf8");
const blocks = [...guide.matchAll(/```properties\n([\s\S]*?)```/g)].map(([, text]) => text!);
const files = [...guide.matchAll(/^\$ cat > \S+ <<'END'\n([\s\S]*?)^END$/gm)].map(([, text]) => text!);

it("has the settings of each step", () => {
  expect(files.map(moveIn)).toEqual([
    "nothing to local",
    "local to local",
    "local to local",
    "nothing to local",
    "local to local", // from the data directory
    "local to local",
  ]);
});

const moves = ["local to aws", "aws to aws", "aws to vault", "aws to azure", "vault to local"];

it.each(moves)("has those of %s in a way that can be turned round for step 1, and halved for step 4", (move) => {
  expect(blocks).toHaveLength(moves.length);
  const text = blocks[moves.indexOf(move)]!;
  expect(moveIn(text)).toBe(move);
  const { provider, otherProvider } = load({}, text);
  expect(otherProvider).not.toEqual(provider);
  expect(load({}, turnedRound(text))).toMatchObject({ provider: otherProvider, otherProvider: provider });
  const half = linesOf(text).filter((line) => !line.startsWith("fluo.kms.other."));
  expect(load({}, half.join("\n"))).toMatchObject({ provider, otherProvider: undefined });
});

function linesOf(text: string): string[] {
  return text.trimEnd().split("\n");
}

function turnedRound(text: string): string {
  const turned = linesOf(text).map((line) => {
    const [name, value] = line.split("=") as [SettingName, string];
    const own = settingNames.find((each) => otherName(each) === name) ?? otherName(name);
    return `${own}=${value}`;
  });
  return turned.join("\n");
}

function moveIn(text: string): string {
  const { provider, otherProvider } = load({}, text);
  return `${otherProvider?.name ?? "nothing"} to ${provider.name}`;
}
