package kms

import (
	"fmt"

	"github.com/fluo-dev/fluo-kms/clients/go/verify"
	"google.golang.org/protobuf/proto"
)

// VerifyMessages judges one span offline, as [verify.KeySet.Verify] does, for messages of any package that has OTLP's:
// this module's kmsv1, or OpenTelemetry's own. Nil stands for no resource or scope, as an interface or a pointer. Unknown
// fields that a message carries are found. A message that cannot be encoded is MALFORMED. evidence is nil for the audit.integrity attributes on the span.
func VerifyMessages(keys *verify.KeySet, tenant string, resource, scope, span proto.Message, evidence verify.Evidence) verify.Verdict {
	var encoded [3][]byte
	for i, message := range []proto.Message{resource, scope, span} {
		if message == nil {
			continue
		}
		var err error
		if encoded[i], err = proto.Marshal(message); err != nil {
			return verify.Verdict{Reason: verify.Malformed, Message: fmt.Sprintf("the span cannot be encoded: %v", err)}
		}
	}
	return keys.Verify(tenant, encoded[0], encoded[1], encoded[2], evidence)
}
