/** `metrics`: what Prometheus would be told, for where there is no curl. */
import { type Command, exitCode } from "../command.ts";
import { printText } from "../print.ts";
import { serviceDetails, serviceOptions, textFromService } from "../service-client.ts";

const timeoutMs = 30_000;

export const metrics: Command = {
  name: "metrics",
  summary: "Prints the metrics of a running service, as Prometheus reads them.",
  options: serviceOptions,
  details: serviceDetails,
  async run(options) {
    printText(await textFromService(options, { method: "GET", path: "/q/metrics", timeoutMs }));
    return exitCode.ok;
  },
};
