/** Rounds over rows of things that are compared, so that a slow spell of the machine meets all of them. */
import type { Sample, Take } from "./slice.ts";

export interface Rounds {
  warmUps: number;
  rounds: number;
}

/**
 * Takes the samples of a row one right after the other, beginning with another one in each round. Resolves, for each row and each of its
 * takes, with a sample a round; what was taken to warm up is not among them.
 */
export async function interleave(
  rows: readonly (readonly Take[])[],
  { warmUps, rounds }: Rounds,
): Promise<Sample[][][]> {
  const samples = rows.map((takes) => takes.map((): Sample[] => []));
  for (let round = -warmUps; round < rounds; round += 1) {
    for (const [row, takes] of rows.entries()) {
      for (let turn = 0; turn < takes.length; turn += 1) {
        const index = (turn + round + warmUps) % takes.length;
        const sample = await takes[index]!();
        if (round >= 0) samples[row]![index]!.push(sample);
      }
    }
  }
  return samples;
}
