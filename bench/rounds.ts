/** Rounds over rows of things that are compared, so that a slow spell of the machine meets all of them. */
import { meanOf, type Sample, type Take } from "./slice.ts";

export interface Rounds {
  warmUps: number;
  rounds: number;
  /** Whether each sample is taken twice: see `interleave`. */
  thereAndBack: boolean;
}

/**
 * Takes the samples of a row one right after the other, beginning with another one in each round. There and back, it takes them once more the
 * other way round, so that a machine that becomes slower or faster meanwhile does so for all of them. Resolves, for each row and each of its
 * takes, with a sample a round, or the mean of its two; what was taken to warm up is not among them.
 */
export async function interleave(
  rows: readonly (readonly Take[])[],
  { warmUps, rounds, thereAndBack }: Rounds,
): Promise<Sample[][][]> {
  const samples = rows.map((takes) => takes.map((): Sample[] => []));
  for (let round = -warmUps; round < rounds; round += 1) {
    for (const [row, takes] of rows.entries()) {
      const there = takes.map((_, turn) => (turn + round + warmUps) % takes.length);
      const taken = takes.map((): Sample[] => []);
      for (const index of thereAndBack ? [...there, ...there.toReversed()] : there) {
        taken[index]!.push(await takes[index]!());
      }
      if (round >= 0) taken.forEach((each, index) => void samples[row]![index]!.push(meanOf(each)));
    }
  }
  return samples;
}
