package verify

import "fmt"

// Reason says why a span verifies or does not, in the words of the service's VerifyReason without its prefix.
type Reason string

const (
	// OK: the span is as it was when the tenant's key signed it.
	OK Reason = "OK"
	// SignatureMismatch: the span, its attributes or the signature were changed.
	SignatureMismatch Reason = "SIGNATURE_MISMATCH"
	// SpanMismatch: the statement is authentic, but says something else about this span.
	SpanMismatch Reason = "SPAN_MISMATCH"
	// UnknownKey: the tenant has no such key.
	UnknownKey Reason = "UNKNOWN_KEY"
	// KeyState: the key's state, or its time of validity, does not allow this signature.
	KeyState Reason = "KEY_STATE"
	// KeyCompromised: the key is compromised, so that its individual signatures prove nothing any more.
	KeyCompromised Reason = "KEY_COMPROMISED"
	// ProofInvalid: the log proof does not hold.
	ProofInvalid Reason = "PROOF_INVALID"
	// Malformed: there is no evidence, or it or the span is not in the form that the service makes.
	Malformed Reason = "MALFORMED"
)

// Verdict is what there is to say of one span.
type Verdict struct {
	// Verified says whether the span is as it was when it was signed: Reason is OK.
	Verified bool
	// Reason says why, or why not.
	Reason Reason
	// KeyID is the key that the evidence names, or that signed the log, 32 lower-case hex digits; empty where there is
	// none.
	KeyID string
	// KeyState is that key's state, as in "ACTIVE"; empty where the key is not known.
	KeyState string
	// SignedAt is when the evidence says it was signed, RFC 3339 in UTC with milliseconds; empty where it does not say.
	SignedAt string
	// TraceID and SpanID are in lower-case hex; empty for a span that cannot be read.
	TraceID, SpanID string
	// Log is the origin of the log that the span claims a place in; empty for other evidence.
	Log string
	// LeafIndex is that place; 0 where Log is empty.
	LeafIndex uint64
	// Message says what is wrong and how to mend it, for people; empty where Reason says it all. The text may change.
	Message string
	// Unsigned says that the span has none of the attributes that signing gives; Reason is Malformed then.
	Unsigned bool
}

// Explanation says in words why a span does not verify; empty for one that does.
func (v Verdict) Explanation() string {
	if v.Message != "" {
		return v.Message
	}
	return explanations[v.Reason]
}

var explanations = map[Reason]string{
	OK:                "",
	SignatureMismatch: "the span or its signature was altered",
	SpanMismatch:      "the statement is about another span",
	UnknownKey:        "no such key of this tenant in the keys file",
	KeyState:          "the key was not in use when the span says it was signed",
	KeyCompromised:    "the key is marked compromised",
	ProofInvalid:      "the log proof does not hold: the span or its proof was altered",
	Malformed:         "the span carries no signature, or not in its form",
}

// mismatch explains a span that differs from what was signed. One that was signed with more than is given
// now differs, too.
func mismatch(reason Reason, lacks string) string {
	switch reason {
	case SignatureMismatch, SpanMismatch, ProofInvalid:
	default:
		return ""
	}
	if lacks == "" {
		return explanations[reason]
	}
	return explanations[reason] + "; if it was signed with a " + lacks + ", give that too, as it was then"
}

func counted[Count int | int64](count Count, one, many string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprint(count) + " " + many
}

func unreadable(err error) Verdict { return Verdict{Reason: Malformed, Message: err.Error()} }
