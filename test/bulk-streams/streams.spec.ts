/** Sixty-four streams in both modes, while keys rotate and others make trouble: nothing is lost, mixed up or left behind. */
import { constants } from "node:http2";
import { expect, it } from "vitest";
import { newStore } from "../durable/services.ts";
import { canMeasure, type Held, heldBy, liveMemory, peakMb } from "../support/held.ts";
import { medianOf } from "../support/median.ts";
import { type ServiceProcess, startProcess } from "../support/service-process.ts";
import { isShort, whole } from "../support/short.ts";
import { load, type LoadResult } from "./load.ts";
import { hog, troubles } from "./trouble.ts";

const seconds = Number(process.env.STREAM_SECONDS ?? (isShort ? 2 : 15));
const warmUpSeconds = isShort ? 1 : 5;
const streams = 64;
/** Of memory, and of files and sockets. */
const noMoreThan = 1.1;
const looks = isShort ? 5 : 50;

it.skipIf(!canMeasure)(
  "streams keep their order and verify, whatever others do, and leave nothing behind",
  async () => {
    const service = await startProcess(await newStore("sqlite"), { preload: [liveMemory] });
    await load(service, { streams, seconds: warmUpSeconds, name: "warm" });
    const before = await settled(service);
    const result = await load(service, { streams, seconds, name: "run" });
    const after = await settled(service, before);
    console.log(report(result), { before, after, peakMb: peakMb(service) });

    expect(result.failures).toEqual([]);
    expect(result.streams).toHaveLength(streams);
    expect(Math.min(...result.streams.map(({ batches }) => batches))).toBeGreaterThan(0);
    // In so few seconds not all that is wanted comes, and nothing is warm.
    if (isShort) return;
    expect(result.streams.reduce((sum, { verified }) => sum + verified, 0)).toBeGreaterThan(streams);
    expect(result.rotations).toBeGreaterThan(seconds / 5);
    for (const trouble of Object.keys(troubles)) expect(result.troubles[trouble], trouble).toBeGreaterThan(0);
    expect(after.liveMb).toBeLessThan(before.liveMb * noMoreThan);
    expect(after.handles).toBeLessThanOrEqual(before.handles * noMoreThan);
  },
);

whole("streams that nobody reads do not keep the others waiting for long", async () => {
  const longest: number[] = [];
  for (let run = 0; run < 3; run += 1) longest.push(await longestBesideHogs());
  // They have five seconds, and those that come into their place have them too. The machine may be slow besides.
  expect(medianOf(longest), `longest between two answers: ${longest.join(", ")} ms`).toBeLessThan(30_000);
});

/** Milliseconds between two answers of a stream at most, while others do not read. */
async function longestBesideHogs(): Promise<number> {
  const service = await startProcess(await newStore("sqlite"), { preload: [liveMemory] });
  await load(service, { streams: 4, seconds: 1, name: "warm" });
  const hogs = Array.from({ length: 24 }, () => hog(service.grpc));
  const result = await load(service, { streams: 16, seconds: 12, name: "run" });
  const codes = hogs.map(({ code }) => code());
  for (const { close } of hogs) await close();
  console.log(report(result), { hogs: codes });

  expect(codes).toContain(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  expect(result.failures).toEqual([]);
  await service.end();
  return Math.max(...result.streams.map(({ longestMs }) => longestMs));
}

/** Once those are gone that left, some of whom have a while for it, and what was begun for them is done. */
async function settled(service: ServiceProcess, than: Held = { liveMb: 0, rssMb: 0, handles: 0 }): Promise<Held> {
  let held = await heldBy(service);
  for (let look = 0; look < looks && (held.handles > than.handles || held.liveMb > than.liveMb); look += 1) {
    held = await heldBy(service);
  }
  return held;
}

function report(result: LoadResult): string {
  const spans = result.streams.reduce((sum, each) => sum + each.spans, 0);
  const batches = result.streams.reduce((sum, each) => sum + each.batches, 0);
  const longestMs = Math.max(...result.streams.map((each) => each.longestMs));
  return [
    `${spans} spans in ${batches} batches on ${result.streams.length} streams, ${result.rotations} rotations`,
    `longest between two answers of a stream ${longestMs.toFixed(0)} ms; of ${result.calls} calls ${result.longestMs.toFixed(0)} ms`,
    `trouble: ${JSON.stringify(result.troubles)}`,
  ].join("\n");
}
