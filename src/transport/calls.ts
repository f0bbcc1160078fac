/** What both transports serve, and how. */
import { type Budget, createBudget } from "./budget.ts";
import { type CallParts, type CallRecorder, callRecorder } from "./call-recorder.ts";
import { createPipeline, type Pipeline, type PipelineParts } from "./pipeline.ts";
import type { Served } from "./services.ts";

export interface Calls extends Pipeline {
  services: readonly Served[];
  /** Counts and logs what fails before it is a call. */
  refuse: CallRecorder["refuse"];
  /** The same for whoever is refused at the door, of whom there may be many. */
  refuseStranger: CallRecorder["refuseStranger"];
  budget: Budget;
}

export interface CallsParts extends CallParts, Pick<PipelineParts, "observer"> {
  /** The default is for production, another for a test. */
  budget?: Budget;
}

export function createCalls({ observer, time, budget = createBudget(time), ...parts }: CallsParts): Calls {
  const recorder = callRecorder({ time, ...parts });
  return {
    services: parts.services,
    refuse: recorder.refuse,
    refuseStranger: recorder.refuseStranger,
    budget,
    ...createPipeline({ recorder, budget, observer }),
  };
}
