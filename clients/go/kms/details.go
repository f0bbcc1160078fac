package kms

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// Details is what an error of the service says beside its code.
type Details struct {
	// Reason is the service's stable word for it, as in "CIPHERTEXT_REJECTED"; empty where there is none.
	Reason string
	// Fields are the fields of the request that are wrong.
	Fields []FieldViolation
	// RetryAfter is when to try again; 0 where the service does not say.
	RetryAfter time.Duration
}

// FieldViolation says what is wrong with one field of a request.
type FieldViolation struct {
	// Field is its path, as in "fields[3].value".
	Field string
	// Description says what is wrong and how to mend it, without the value.
	Description string
}

// DetailsOf returns the details of an error of a call; empty ones for any other error, and for none.
func DetailsOf(err error) (details Details) {
	found, ok := status.FromError(err)
	if err == nil || !ok {
		return details
	}
	for _, each := range found.Details() {
		switch detail := each.(type) {
		case *errdetails.ErrorInfo:
			details.Reason = detail.GetReason()
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				details.Fields = append(details.Fields, FieldViolation{violation.GetField(), violation.GetDescription()})
			}
		case *errdetails.RetryInfo:
			details.RetryAfter = max(0, detail.GetRetryDelay().AsDuration())
		}
	}
	return details
}
