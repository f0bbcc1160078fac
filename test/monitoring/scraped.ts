/** What a service shows at /q/metrics, read as Prometheus reads it. */
import { Agent, request as overTls } from "node:https";
import { request } from "node:http";
import { text } from "node:stream/consumers";
import type { Labels, Sample } from "./prometheus.ts";
import { scrapeToken } from "./site.ts";

export interface Scraped {
  text: string;
  /** By the name of the series, which for a histogram ends in `_bucket`, `_sum` or `_count`. */
  samples: readonly (Sample & { name: string })[];
}

const agent = new Agent({ rejectUnauthorized: false });

/** `http` is the service's own address. Throws for any answer but 200. */
export async function scrape({ http }: { http: string }): Promise<Scraped> {
  const url = `${http}/q/metrics`;
  const headers = { authorization: `Bearer ${scrapeToken.token}` };
  const { status, body } = await new Promise<{ status: number; body: string }>((resolve, reject) => {
    const asked = url.startsWith("https") ? overTls(url, { agent, headers }) : request(url, { headers });
    asked.on("response", async (response) => resolve({ status: response.statusCode!, body: await text(response) }));
    asked.on("error", reject).end();
  });
  if (status !== 200) throw new Error(`${url} answered ${status}: ${body}`);
  return { text: body, samples: body.split("\n").flatMap(sampleOf) };
}

function sampleOf(line: string): Scraped["samples"] {
  const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$/.exec(line);
  if (found === null) return [];
  const [, name, labels = "", value] = found;
  return [
    { name: name!, labels: labelsOf(labels), value: value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value) },
  ];
}

function labelsOf(text: string): Labels {
  const found = text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g);
  return Object.fromEntries([...found].map(([, name, value]) => [name!, value!.replace(/\\(.)/g, "$1")]));
}

/** Names of its series. */
export function namesIn({ samples }: Pick<Scraped, "samples">): Set<string> {
  return new Set(samples.map(({ name }) => name));
}

/** The sum of the series of this name that have these labels. */
export function sumOf({ samples }: Pick<Scraped, "samples">, name: string, labels: Labels = {}): number {
  const wanted = Object.entries(labels);
  return samples
    .filter((each) => each.name === name && wanted.every(([key, value]) => each.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0);
}
