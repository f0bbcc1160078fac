package kmstest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

const errorDomain = "kms.fluo.dev"

// kind is how the service refuses a call for a reason.
type kind struct {
	code codes.Code
	// retry is when to try again; 0 if that is no use.
	retry time.Duration
}

var reasons = map[string]kind{
	"INVALID_ARGUMENT":     {code: codes.InvalidArgument},
	"CIPHERTEXT_REJECTED":  {code: codes.InvalidArgument},
	"UNAUTHENTICATED":      {code: codes.Unauthenticated},
	"CREDENTIAL_EXPIRED":   {code: codes.Unauthenticated},
	"PERMISSION_DENIED":    {code: codes.PermissionDenied},
	"NOT_FOUND":            {code: codes.NotFound},
	"KEY_UNUSABLE":         {code: codes.FailedPrecondition},
	"PROVIDER_DENIED":      {code: codes.FailedPrecondition},
	"CLOCKS_DISAGREE":      {code: codes.FailedPrecondition},
	"CONFLICT":             {code: codes.Aborted},
	"LEASE_LOST":           {code: codes.Aborted},
	"REQUEST_ID_REUSED":    {code: codes.AlreadyExists},
	"MESSAGE_TOO_LARGE":    {code: codes.ResourceExhausted},
	"OVERLOADED":           {codes.ResourceExhausted, 500 * time.Millisecond},
	"RATE_LIMITED":         {codes.ResourceExhausted, time.Second},
	"ISSUER_UNAVAILABLE":   {codes.Unavailable, 5 * time.Second},
	"PROVIDER_UNAVAILABLE": {codes.Unavailable, time.Second},
	"STORE_UNAVAILABLE":    {codes.Unavailable, time.Second},
	"AUDIT_UNAVAILABLE":    {codes.Unavailable, time.Second},
	"DRAINING":             {codes.Unavailable, 100 * time.Millisecond},
	"IDLE":                 {codes.Unavailable, 100 * time.Millisecond},
	"DEADLINE_EXCEEDED":    {code: codes.DeadlineExceeded},
	"CANCELLED":            {code: codes.Canceled},
	"DATA_LOSS":            {code: codes.DataLoss},
	"ROLLBACK_SUSPECTED":   {code: codes.DataLoss},
	"HEADS_MISSING":        {code: codes.DataLoss},
	"UNIMPLEMENTED":        {code: codes.Unimplemented},
	"INTERNAL":             {code: codes.Internal},
}

type setRefusal struct {
	reason string
	// left is how many calls are still to be refused; negative means all.
	left int
}

// Refuse has all calls of an rpc fail for a reason, until [Fake.Allow]: with the status, the details and the trailer that
// the service gives. rpc is a name of the service's, as in "EncryptPii", and reason one that [kms.DetailsOf] returns, as
// in "KEY_UNUSABLE". Refuse panics for names that the fake does not have, and lists those that it has.
//
// A client tries UNAVAILABLE and RESOURCE_EXHAUSTED up to four times, and each try counts as a call.
func (f *Fake) Refuse(rpc, reason string) { f.refuse(rpc, reason, -1) }

// RefuseTimes is [Fake.Refuse] for the next calls alone, at least one.
func (f *Fake) RefuseTimes(rpc, reason string, times int) {
	if times < 1 {
		panic(fmt.Sprintf("kmstest: %d calls cannot be refused", times))
	}
	f.refuse(rpc, reason, times)
}

// Allow ends what [Fake.Refuse] began. It panics for an rpc that the fake does not have.
func (f *Fake) Allow(rpc string) {
	mustHave(rpc)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.refusals, rpc)
}

func (f *Fake) refuse(rpc, reason string, times int) {
	mustHave(rpc)
	if _, ok := reasons[reason]; !ok {
		panic(fmt.Sprintf("kmstest: no reason is %q; there are %s", reason, strings.Join(slices.Sorted(maps.Keys(reasons)), ", ")))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusals[rpc] = &setRefusal{reason, times}
}

func mustHave(rpc string) {
	var names []string
	for _, each := range methods.Methods {
		names = append(names, each.MethodName)
	}
	if !slices.Contains(names, rpc) {
		panic(fmt.Sprintf("kmstest: no rpc of the fake is %q; there are %s", rpc, strings.Join(names, ", ")))
	}
}

// refusal returns why a call is refused, nil if it is not, and sends when to try again.
func (f *Fake) refusal(ctx context.Context, rpc string) error {
	reason := f.nextRefusal(rpc)
	if reason == "" {
		return nil
	}
	of := reasons[reason]
	if of.code == codes.ResourceExhausted {
		pushback := int64(-1)
		if of.retry > 0 {
			pushback = of.retry.Milliseconds()
		}
		if err := grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", strconv.FormatInt(pushback, 10))); err != nil {
			return err
		}
	}
	return statusOf(reason, "kmstest refuses "+rpc+": "+reason)
}

func (f *Fake) nextRefusal(rpc string) (reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := f.refusals[rpc]
	if found == nil {
		return ""
	}
	if found.left--; found.left == 0 {
		delete(f.refusals, rpc)
	}
	return found.reason
}

// statusOf returns an error as the service gives it.
func statusOf(reason, message string, details ...protoadapt.MessageV1) error {
	of := reasons[reason]
	details = append([]protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: errorDomain}}, details...)
	if of.retry > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(of.retry)})
	}
	found, err := status.New(of.code, message).WithDetails(details...)
	if err != nil {
		return err
	}
	return found.Err()
}
