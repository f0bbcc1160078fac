/** What gRPC itself does for every call: retries of what may be repeated, keepalive, limits. */
import type { ChannelOptions } from "@grpc/grpc-js";
import { maxMessageBytes } from "../kms.ts";
import { KeyAdminService, KmsService, LogService } from "../messages.ts";

/** Not repeated: streams, what costs the service much, and what changes keys. */
const unrepeatable: ReadonlySet<string> = new Set([
  ...["SignSpans", "Rotate", "Validate", "VerifyAudit"],
  ...["DisableKey", "EnableKey", "MarkKeyCompromised", "ScheduleKeyDestruction", "CancelKeyDestruction", "RewrapKeys"],
]);

/** gRPC's service config. A pushback of the service wins over the backoff, and a negative one ends the retries. */
export const serviceConfig = {
  methodConfig: [
    {
      name: [KmsService, LogService, KeyAdminService].flatMap(({ typeName, methods }) =>
        methods.filter(({ name }) => !unrepeatable.has(name)).map(({ name }) => ({ service: typeName, method: name })),
      ),
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: "0.1s",
        maxBackoff: "2s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
      },
    },
  ],
};

export const channelOptions: ChannelOptions = {
  "grpc.service_config": JSON.stringify(serviceConfig),
  "grpc.service_config_disable_resolution": 1,
  // The service allows no more, and none while no call is open.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 20_000,
  "grpc.keepalive_permit_without_calls": 0,
  "grpc.max_receive_message_length": maxMessageBytes,
  "grpc.max_send_message_length": maxMessageBytes,
  // A signed span has more than a KB, and the default window 64 KiB.
  "grpc-node.flow_control_window": 4 * 1024 * 1024,
};
