/** DATA frames that are kept, for what they cost beside their bytes: many must be of some size. */

/** So many may be of any size, */
const anyFrames = 1_000;
/** and more of at least this on average. */
const leastBytes = 64;

export interface SmallFrames {
  /** One more is kept. */
  areTooMany(bytes: number): boolean;
  /** None is kept any more. */
  forget(): void;
}

export function smallFrames(): SmallFrames {
  let frames = 0;
  let inAll = 0;
  return {
    areTooMany(bytes) {
      frames += 1;
      inAll += bytes;
      return frames > anyFrames && inAll < frames * leastBytes;
    },
    forget() {
      frames = 0;
      inAll = 0;
    },
  };
}
