package kms

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

type signStream = grpc.BidiStreamingServer[kmsv1.SignSpansRequest, kmsv1.SignSpansResponse]

// scripted answers each stream by the next of its scripts, and by signed when there is no other. It stands in for a
// service in states that a real one is seldom in.
type scripted struct {
	kmsv1.UnimplementedKmsServiceServer

	mu      sync.Mutex
	scripts []func(signStream) error
	// batches has each request as its bytes, in the order in which they came.
	batches [][]byte
	ids     []string
}

func (s *scripted) SignSpans(stream signStream) error {
	s.mu.Lock()
	script := s.signed
	if len(s.scripts) > 0 {
		script, s.scripts = s.scripts[0], s.scripts[1:]
	}
	s.mu.Unlock()
	return script(stream)
}

func (s *scripted) receive(stream signStream) (*kmsv1.SignSpansRequest, error) {
	request, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches, s.ids = append(s.batches, encoded), append(s.ids, request.GetRequestId())
	return request, err
}

func (s *scripted) signed(stream signStream) error {
	for {
		request, err := s.receive(stream)
		if err != nil {
			return nil
		}
		if err := stream.Send(answerTo(request)); err != nil {
			return err
		}
	}
}

func answerTo(request *kmsv1.SignSpansRequest) *kmsv1.SignSpansResponse {
	answer := &kmsv1.SignSpansResponse{RequestId: request.GetRequestId(), BatchDone: true}
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for range scope.GetSpans() {
				answer.Results = append(answer.Results, &kmsv1.SpanResult{Result: &kmsv1.SpanResult_Signed{Signed: &kmsv1.SignedSpan{
					LeafIndex: proto.Uint64(0), Attributes: []*kmsv1.KeyValue{{Key: "audit.integrity.value"}}}}})
			}
		}
	}
	return answer
}

// endsWith takes so many batches and then ends the stream.
func (s *scripted) endsWith(err error, batches int) func(signStream) error {
	return func(stream signStream) error {
		for range batches {
			if _, err := s.receive(stream); err != nil {
				return err
			}
		}
		return err
	}
}

func (s *scripted) answers(change func(*kmsv1.SignSpansResponse)) func(signStream) error {
	return func(stream signStream) error {
		request, err := s.receive(stream)
		if err != nil {
			return err
		}
		answer := answerTo(request)
		change(answer)
		_ = stream.Send(answer) // the client may be gone
		<-stream.Context().Done()
		return nil
	}
}

func startScripted(t *testing.T) (*scripted, *Client, context.Context) {
	t.Helper()
	service := &scripted{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	kmsv1.RegisterKmsServiceServer(server, service)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	client, err := Dial(listener.Addr().String(), WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return service, client, ctx
}

func oneSpan() *kmsv1.ResourceSpans {
	return &kmsv1.ResourceSpans{ScopeSpans: []*kmsv1.ScopeSpans{{Spans: []*kmsv1.Span{{Name: "x"}}}}}
}

// errorsOf signs so many batches of one span, and returns what became of each.
func errorsOf(ctx context.Context, t *testing.T, signer *SpanSigner, batches int) (errs []error) {
	t.Helper()
	var signings []*Signing
	for range batches {
		signing, err := signer.Sign(ctx, oneSpan())
		if err != nil {
			t.Fatal(err)
		}
		signings = append(signings, signing)
	}
	for _, signing := range signings {
		_, err := signing.Wait(ctx)
		errs = append(errs, err)
	}
	return errs
}

func TestWhatPassesIsSentAgainUnchanged(t *testing.T) {
	wait := 300 * time.Millisecond
	exhausted, err := status.New(codes.ResourceExhausted, "x").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	if err != nil {
		t.Fatal(err)
	}
	for what, end := range map[string]error{
		"UNAVAILABLE": status.Error(codes.Unavailable, "x"), "ABORTED": status.Error(codes.Aborted, "x"), "a clean end": nil,
		"RESOURCE_EXHAUSTED": exhausted.Err(), "INTERNAL of a cut connection": status.Error(codes.Internal, "x"),
		"CANCELLED by another": status.Error(codes.Canceled, "x"), "UNAUTHENTICATED once": status.Error(codes.Unauthenticated, "x"),
	} {
		t.Run(what, func(t *testing.T) {
			service, client, ctx := startScripted(t)
			service.scripts = []func(signStream) error{service.endsWith(end, 1)}
			signer := NewSpanSigner(client, "acme")
			defer signer.Close()
			began := time.Now()
			for _, err := range errorsOf(ctx, t, signer, 3) {
				if err != nil {
					t.Error(err)
				}
			}
			if status.Code(end) == codes.ResourceExhausted && time.Since(began) < wait {
				t.Error("the service's wait is not heeded")
			}
			if string(service.batches[0]) != string(service.batches[1]) || service.ids[0] == service.ids[2] {
				t.Errorf("%v", service.ids)
			}
		})
	}
}

func TestARefusalFailsTheFirstBatchAlone(t *testing.T) {
	for _, code := range []codes.Code{codes.InvalidArgument, codes.FailedPrecondition, codes.PermissionDenied, codes.AlreadyExists} {
		service, client, ctx := startScripted(t)
		service.scripts = []func(signStream) error{service.endsWith(status.Error(code, "x"), 1)}
		signer := NewSpanSigner(client, "acme")
		errs := errorsOf(ctx, t, signer, 3)
		if status.Code(errs[0]) != code || errs[1] != nil || errs[2] != nil {
			t.Errorf("%s: %v", code, errs)
		}
		_ = signer.Close()
	}
}

func TestASecondUnauthenticatedFailsAllThatIsUnanswered(t *testing.T) {
	service, client, ctx := startScripted(t)
	refusal := status.Error(codes.Unauthenticated, "x")
	service.scripts = []func(signStream) error{service.endsWith(refusal, 3), service.endsWith(refusal, 3)}
	signer := NewSpanSigner(client, "acme")
	defer signer.Close()
	for _, err := range errorsOf(ctx, t, signer, 3) {
		if status.Code(err) != codes.Unauthenticated {
			t.Error(err)
		}
	}
	if errs := errorsOf(ctx, t, signer, 1); errs[0] != nil {
		t.Errorf("a later batch: %v", errs[0])
	}
}

func TestRetryKeepsTheRequestID(t *testing.T) {
	service, client, ctx := startScripted(t)
	service.scripts = []func(signStream) error{service.endsWith(status.Error(codes.PermissionDenied, "x"), 1)}
	signer := NewSpanSigner(client, "acme")
	defer signer.Close()
	signing, err := signer.Sign(ctx, oneSpan())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signing.Wait(ctx); status.Code(err) != codes.PermissionDenied {
		t.Fatal(err)
	}
	if err := signer.Retry(ctx, signing); err != nil {
		t.Fatal(err)
	}
	if results, err := signing.Wait(ctx); err != nil || results[0].Err != nil {
		t.Errorf("%+v, %v", results, err)
	}
	if service.ids[0] != service.ids[1] || string(service.batches[0]) != string(service.batches[1]) {
		t.Error(service.ids)
	}
}

func TestARetryOfWhatWasSignedIsDoneAtOnce(t *testing.T) {
	_, client, ctx := startScripted(t)
	signer := NewSpanSigner(client, "acme")
	defer signer.Close()
	signing, err := signer.Sign(ctx, oneSpan())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signing.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for range 50 {
		if err := signer.Retry(ended, signing); err != nil {
			t.Fatal(err)
		}
		if results, err := signing.Wait(ctx); err != nil || len(results) != 1 {
			t.Fatalf("%+v, %v", results, err)
		}
	}
}

func TestAnAnswerThatIsNotToTheBatchIsAnError(t *testing.T) {
	for what, each := range map[string]struct {
		change func(*kmsv1.SignSpansResponse)
		want   error
	}{
		"without attributes":  {func(a *kmsv1.SignSpansResponse) { a.Results[0].GetSigned().Attributes = nil }, ErrServiceTooOld},
		"another request_id":  {func(a *kmsv1.SignSpansResponse) { a.RequestId = "other" }, errOtherAnswer},
		"too many results":    {func(a *kmsv1.SignSpansResponse) { a.Results = append(a.Results, a.Results...) }, errOtherAnswer},
		"too few results":     {func(a *kmsv1.SignSpansResponse) { a.Results = nil }, errOtherAnswer},
		"no place in the log": {func(a *kmsv1.SignSpansResponse) { a.Results[0].GetSigned().LeafIndex = nil }, errOtherAnswer},
		"neither":             {func(a *kmsv1.SignSpansResponse) { a.Results[0].Result = nil }, errOtherAnswer},
	} {
		service, client, ctx := startScripted(t)
		service.scripts = []func(signStream) error{service.answers(each.change)}
		signer := NewSpanSigner(client, "acme")
		errs := errorsOf(ctx, t, signer, 1)
		if !errors.Is(errs[0], each.want) {
			t.Errorf("%s: %v", what, errs[0])
		}
		_ = signer.Close()
	}
}

func TestABatchThatIsUnansweredFor23HoursIsNotSentAgain(t *testing.T) {
	service, client, ctx := startScripted(t)
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	service.scripts = []func(signStream) error{func(stream signStream) error {
		if _, err := service.receive(stream); err != nil {
			return err
		}
		mu.Lock()
		now = now.Add(maxUnansweredAge)
		mu.Unlock()
		return status.Error(codes.Unavailable, "x")
	}}
	signer := NewSpanSigner(client, "acme", func(s *SpanSigner) { s.now = clock })
	defer signer.Close()
	signing, err := signer.Sign(ctx, oneSpan())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signing.Wait(ctx); !errors.Is(err, ErrExpired) {
		t.Error(err)
	}
	if err := signer.Retry(ctx, signing); !errors.Is(err, ErrExpired) {
		t.Error(err)
	}
	if errs := errorsOf(ctx, t, signer, 1); errs[0] != nil || len(service.ids) != 2 {
		t.Errorf("%v, %v", errs, service.ids)
	}
}

func TestBatchesAreDividedBelowTheirBounds(t *testing.T) {
	text := func(length int) string { return string(make([]byte, length)) }
	resource := &kmsv1.Resource{Attributes: []*kmsv1.KeyValue{{Key: "r"}}}
	whole := &kmsv1.ResourceSpans{Resource: resource, SchemaUrl: "u", ScopeSpans: []*kmsv1.ScopeSpans{
		{SchemaUrl: "a"}, {Scope: &kmsv1.InstrumentationScope{Name: "b"}, SchemaUrl: "b"}}}
	for i := range 2400 {
		whole.ScopeSpans[i%2].Spans = append(whole.ScopeSpans[i%2].Spans, &kmsv1.Span{Name: text(i)})
	}
	whole.ScopeSpans[1].Spans[600].Name = text(5 << 20) // no message holds it
	whole.ScopeSpans[1].Spans[601].Name = text(2 << 20) // a batch of its own
	encoded, err := proto.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	var divided batcher
	if err := divided.add(encoded); err != nil {
		t.Fatal(err)
	}
	divided.flush()
	if divided.total != 2400 || len(divided.tooLarge) != 1 || divided.tooLarge[0] != 1800 {
		t.Fatalf("%d spans, %v", divided.total, divided.tooLarge)
	}
	names := map[int]string{}
	for _, each := range divided.batches {
		var request kmsv1.SignSpansRequest
		if err := proto.Unmarshal(each.body, &request); err != nil {
			t.Fatal(err)
		}
		at := each.first
		for _, resourceSpans := range request.GetResourceSpans() {
			if !proto.Equal(resourceSpans.GetResource(), resource) || resourceSpans.GetSchemaUrl() != "u" {
				t.Fatal("another resource")
			}
			for _, scope := range resourceSpans.GetScopeSpans() {
				if (scope.GetSchemaUrl() == "b") != (scope.GetScope().GetName() == "b") {
					t.Fatal("another scope")
				}
				for _, span := range scope.GetSpans() {
					names[at] = span.GetName()
					at++
				}
			}
		}
		if at-each.first != each.spans || each.spans > batchSpans || len(each.body) > batchBytes+64 && each.spans > 1 {
			t.Errorf("a batch of %d spans and %d bytes", each.spans, len(each.body))
		}
	}
	at := 0
	for _, scope := range whole.GetScopeSpans() {
		for _, span := range scope.GetSpans() {
			if name, ok := names[at]; ok != (at != 1800) || ok && name != span.GetName() {
				t.Fatalf("span %d is another one", at)
			}
			at++
		}
	}
}

func TestASlowServiceGetsNoMoreThanMayBeUnansweredAndAllInOrder(t *testing.T) {
	service, client, ctx := startScripted(t)
	const batches, mostUnanswered = 200, 3
	requests := make(chan *kmsv1.SignSpansRequest, batches)
	var most atomic.Int64
	service.scripts = []func(signStream) error{func(stream signStream) error {
		go func() {
			defer close(requests)
			for {
				request, err := service.receive(stream)
				if err != nil {
					return
				}
				requests <- request
			}
		}()
		for request := range requests {
			most.Store(max(most.Load(), int64(len(requests)+1)))
			if err := stream.Send(answerTo(request)); err != nil {
				return err
			}
		}
		return nil
	}}
	signer := NewSpanSigner(client, "acme", WithMaxUnanswered(mostUnanswered))
	for _, err := range errorsOf(ctx, t, signer, batches) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := signer.Close(); err != nil {
		t.Error(err)
	}
	service.mu.Lock()
	defer service.mu.Unlock()
	for i, id := range service.ids {
		if want := signer.idPrefix + "-" + strconv.Itoa(i+1); id != want {
			t.Fatalf("batch %d is %s", i, id)
		}
	}
	if most.Load() > mostUnanswered || len(service.ids) != batches {
		t.Errorf("%d are unanswered at once, of %d", most.Load(), len(service.ids))
	}
}
