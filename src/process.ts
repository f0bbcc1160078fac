/** What every part of a running service has from its first line to its last: the log, the clock, telemetry and the alarm. */
import { isatty } from "node:tty";
import { styleText } from "node:util";
import { type Logger, pino } from "pino";
import { createAlarm, type StartedAlarm } from "./alarm.ts";
import type { Notice } from "./notices.ts";
import { openLogOutput } from "./runtime/log-output.ts";
import { linesForPeople } from "./telemetry/log-lines.ts";
import type { Instruments } from "./telemetry/instruments.ts";
import { startTelemetry, type Telemetry, type TelemetrySettings } from "./telemetry/start.ts";
import { version } from "./version.ts";
import type { Time } from "./runtime/time.ts";

export interface ProcessSettings {
  readonly logLevel: string;
  /** Remarks on the configuration, which the log begins with. */
  readonly warnings: readonly Notice[];
  readonly telemetry: { readonly otlp: TelemetrySettings["otlp"] };
}

export interface ServiceProcess {
  log: Logger;
  time: Time;
  telemetry: Telemetry;
  /** Those of {@link telemetry}. */
  instruments: Instruments;
  /** A part that notices trouble raises it, and the health monitor listens. */
  alarm: StartedAlarm;
  startedAt: Date;
  /** Resolves when all lines of the log so far are written, or cannot be. */
  logged(): Promise<void>;
  /** Delivers the last telemetry, and the last lines of the log, of which `last` is one. */
  close(last?: string): Promise<void>;
}

export async function startProcess(
  { logLevel, warnings, telemetry }: ProcessSettings,
  time: Time,
): Promise<ServiceProcess> {
  const output = openLogOutput();
  const log = pino(
    {
      level: logLevel,
      base: null,
      timestamp: () => `,"time":"${time.now().toISOString()}"`,
      hooks: isatty(1) ? { streamWrite: linesForPeople(styleText) } : {},
    },
    output.stream,
  );
  for (const { code, text } of warnings) log.warn({ code }, text);
  const started = await startTelemetry({ version, otlp: telemetry.otlp }, time);
  return {
    log,
    time,
    telemetry: started,
    instruments: started.instruments,
    alarm: createAlarm(),
    startedAt: time.now(),
    logged: output.written,
    async close(last) {
      await started.shutdown().catch((err) => log.warn({ err }, "the last telemetry was not delivered"));
      if (last !== undefined) log.info(last);
      await output.written();
    },
  };
}
