/** Project Wycheproof's vectors, from a folder beside the project; without it their tests are skipped, loudly. */
import { existsSync, readFileSync } from "node:fs";
import { it } from "vitest";

export interface WycheproofCase {
  tcId: number;
  result: "valid" | "invalid" | "acceptable";
  /** The members of the vector, in hex where they are bytes. */
  [member: string]: unknown;
}

export interface WycheproofGroup {
  tests: WycheproofCase[];
  [member: string]: unknown;
}

const folder = new URL("../../../shared/vectors/wycheproof/", import.meta.url);

/** A test over the whole file. `body` returns the tcIds that it ran; the test fails if that is not all of them. */
export function itOnWycheproof(
  title: string,
  file: string,
  body: (groups: WycheproofGroup[]) => number[] | Promise<number[]>,
): void {
  const path = new URL(file, folder);
  if (!existsSync(path)) {
    console.warn(`SKIPPED, there is no ../shared/vectors/wycheproof/${file}: ${title}`);
    it.skip(title, () => {});
    return;
  }
  it(title, async () => {
    const { numberOfTests, testGroups } = JSON.parse(readFileSync(path, "utf8"));
    const ran = new Set(await body(testGroups));
    if (ran.size !== numberOfTests) throw new Error(`ran ${ran.size} of ${numberOfTests} vectors`);
  });
}

export function bytes(hex: unknown): Buffer {
  return Buffer.from(hex as string, "hex");
}
