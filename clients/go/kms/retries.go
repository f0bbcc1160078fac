package kms

import (
	"encoding/json"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
)

// The unary methods that may be repeated, one by one. SignSpans is a stream, which a [SpanSigner] sends again;
// Rotate, Validate and VerifyAudit cost or change something each time, and a change of a key is its caller's to repeat.
var repeatable = map[string][]string{
	kmsv1.KmsService_ServiceDesc.ServiceName: {"GenerateDataKey", "DecryptDataKey", "EncryptPii", "DecryptPii", "ReEncryptPii",
		"SignSpan", "VerifySpan", "GetPublicKeys", "Status"},
	kmsv1.LogService_ServiceDesc.ServiceName:      {"GetCheckpoint", "GetInclusionProof", "GetConsistencyProof"},
	kmsv1.KeyAdminService_ServiceDesc.ServiceName: {"ListKeys", "ListAuditEvents"},
}

// serviceConfig returns what gRPC does about calls that fail, as its JSON. Pushback by the server wins: it
// names the wait, or says never.
func serviceConfig() string {
	type name struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	var names []name
	for service, methods := range repeatable {
		for _, method := range methods {
			names = append(names, name{service, method})
		}
	}
	config, err := json.Marshal(map[string]any{"methodConfig": []any{map[string]any{
		"name": names,
		"retryPolicy": map[string]any{
			"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 2,
			"retryableStatusCodes": []string{"UNAVAILABLE", "RESOURCE_EXHAUSTED"},
		},
	}}})
	if err != nil {
		panic(err) // of strings and numbers
	}
	return string(config)
}
