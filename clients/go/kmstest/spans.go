package kmstest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"github.com/fluo-dev/fluo-kms/clients/go/verify"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// signedAtLayout is RFC 3339 in UTC with milliseconds.
const signedAtLayout = "2006-01-02T15:04:05.000Z"

func (f *Fake) signSpan(request *rawMessage) (*kmsv1.SignSpanResponse, error) {
	read := &kmsv1.SignSpanRequest{}
	given, err := readRequest(*request, read)
	if err != nil {
		return nil, err
	}
	tenant := read.GetTenantId()
	if err := checkTenant(tenant); err != nil {
		return nil, err
	}
	at := f.now().UTC().Truncate(time.Millisecond)
	signedAt := at.Format(signedAtLayout)
	statement := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","predicate":{"keyId":"%s","signedAt":"%s","tenant":"%s"},`+
		`"predicateType":"https://fluo.dev/kms/compliance-span/v1","subject":[{"digest":{"sha256":"%x"},"name":"%x/%x"}]}`,
		keyID, signedAt, tenant, sha256.Sum256(given.canonical), read.GetSpan().GetTraceId(), read.GetSpan().GetSpanId())
	const payloadType = "application/vnd.in-toto+json"
	signature := ed25519.Sign(signingKey.PrivateKey, fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(statement), statement))
	return &kmsv1.SignSpanResponse{
		Statement: statement, Signature: signature, KeyId: keyID, SignedAt: timestamppb.New(at),
		Attributes: []*kmsv1.KeyValue{
			attribute("algorithm", "EdDSA"),
			attribute("value", base64.StdEncoding.EncodeToString(signature)),
			attribute("key_id", keyID),
			attribute("tenant", tenant),
			attribute("signed_at", signedAt),
		},
	}, nil
}

func attribute(name, value string) *kmsv1.KeyValue {
	return &kmsv1.KeyValue{Key: "audit.integrity." + name, Value: &kmsv1.AnyValue{Value: &kmsv1.AnyValue_StringValue{StringValue: value}}}
}

func (f *Fake) verifySpan(request *rawMessage) (*kmsv1.VerifySpanResponse, error) {
	read := &kmsv1.VerifySpanRequest{}
	given, err := readRequest(*request, read)
	if err != nil {
		return nil, err
	}
	if err := checkTenant(read.GetTenantId()); err != nil {
		return nil, err
	}
	var evidence verify.Evidence
	switch beside := read.GetEvidence().(type) {
	case *kmsv1.VerifySpanRequest_SignedStatement:
		evidence = verify.SignedStatement{Statement: beside.SignedStatement.GetStatement(), Signature: beside.SignedStatement.GetSignature()}
	case *kmsv1.VerifySpanRequest_LogProof:
		evidence = verify.LogProof{Statement: beside.LogProof.GetStatement(), Proof: beside.LogProof.GetProof()}
	}
	verdict := f.keys.Verify(read.GetTenantId(), given.resource, given.scope, given.span, evidence)
	response := &kmsv1.VerifySpanResponse{
		Verified: verdict.Verified,
		Reason:   kmsv1.VerifyReason(kmsv1.VerifyReason_value["VERIFY_REASON_"+string(verdict.Reason)]),
		KeyId:    verdict.KeyID,
		KeyState: kmsv1.KeyState(kmsv1.KeyState_value["KEY_STATE_"+verdict.KeyState]),
		Message:  verdict.Explanation(),
	}
	if at, err := time.Parse(signedAtLayout, verdict.SignedAt); err == nil {
		response.SignedAt = timestamppb.New(at)
	}
	return response, nil
}

// given is a span with what it was given with, as bytes, and their canonical form.
type given struct {
	resource, scope, span []byte
	canonical             []byte
}

// readRequest reads a request strictly, as the service does: each field is known, and there once.
func readRequest(request []byte, into proto.Message) (found given, err error) {
	fields := into.ProtoReflect().Descriptor().Fields()
	var seen [16]bool
	hasSpan, evidence := false, 0
	for rest := request; len(rest) > 0; {
		number, wireType, n := protowire.ConsumeTag(rest)
		length := protowire.ConsumeFieldValue(number, wireType, rest[max(n, 0):])
		if n < 0 || length < 0 {
			return found, invalid(violation("request", "ends before its length says; send the whole message"))
		}
		field := fields.ByNumber(number)
		if field == nil || wireType != protowire.BytesType {
			return found, invalid(violation("request", "an unknown field could not be signed; leave it out"))
		}
		if seen[number] {
			return found, invalid(violation(string(field.Name()), "is there twice, and parsers differ on which counts; send it once"))
		}
		seen[number] = true
		if field.ContainingOneof() != nil {
			evidence++
		}
		content, _ := protowire.ConsumeBytes(rest[n:])
		found.take(field.Name(), content)
		hasSpan = hasSpan || field.Name() == "span"
		rest = rest[n+length:]
	}
	switch {
	case evidence > 1:
		return found, invalid(violation("request", "the evidence has a second member; it is one of them"))
	case !hasSpan:
		return found, invalid(violation("span", "is missing; give the span"))
	}
	if found.canonical, err = verify.CanonicalForm(found.resource, found.scope, found.span); err != nil {
		field, problem, _ := strings.Cut(err.Error(), ": ")
		return found, invalid(violation(field, problem))
	}
	if err := proto.Unmarshal(request, into); err != nil {
		return found, invalid(violation("request", "must be valid protobuf"))
	}
	return found, nil
}

func (g *given) take(name protoreflect.Name, content []byte) {
	switch name {
	case "resource":
		g.resource = content
	case "scope":
		g.scope = content
	case "span":
		g.span = content
	}
}
