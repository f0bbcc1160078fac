/** Lengths of the ids that OpenTelemetry gives traces and spans. */
export const traceIdBytes = 16;
export const spanIdBytes = 8;
