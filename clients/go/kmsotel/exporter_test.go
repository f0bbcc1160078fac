package kmsotel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/internal/testservice"
	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsotel"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"github.com/fluo-dev/fluo-kms/clients/go/verify"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// What takes this long hangs.
const hung = 2 * time.Minute

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// world is a service, a proxy before it, a backend, and a client.
type world struct {
	ctx     context.Context
	service *testservice.Service
	proxy   *testservice.Proxy
	backend *backend
	client  *kms.Client
	log     *lines
}

func startWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	t.Cleanup(cancel)
	w := &world{ctx: ctx, service: testservice.Start(t), backend: startBackend(t), log: &lines{}}
	w.proxy = testservice.StartProxy(t, w.service.Address)
	client, err := kms.Dial(w.proxy.Address, kms.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	w.client = client
	return w
}

func (w *world) export(t *testing.T, options ...kmsotel.Option) (*trace.TracerProvider, *kmsotel.Exporter) {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	delegate := otlptracehttp.NewClient(otlptracehttp.WithEndpointURL(w.backend.url+"/v1/traces"),
		otlptracehttp.WithHTTPClient(&http.Client{Transport: transport}), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}))
	options = append([]kmsotel.Option{kmsotel.WithLogger(slog.New(slog.NewTextHandler(w.log, nil)))}, options...)
	exporter, err := kmsotel.New(w.ctx, delegate, w.client, "acme", options...)
	if err != nil {
		t.Fatal(err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter, trace.WithMaxExportBatchSize(100), trace.WithMaxQueueSize(100_000),
		trace.WithExportTimeout(hung)))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return provider, exporter
}

func end(ctx context.Context, provider *trace.TracerProvider, first, count int) {
	tracer := provider.Tracer("test")
	for i := range count {
		_, span := tracer.Start(ctx, fmt.Sprintf("s-%d", first+i))
		span.SetAttributes(attribute.String("string", "ü"), attribute.Int("int", i), attribute.Float64("double", 0.5), attribute.Bool("bool", true),
			attribute.StringSlice("list", []string{"a", ""}))
		span.AddEvent("event")
		span.SetStatus(codes.Ok, "")
		span.End()
	}
}

func (w *world) verifyAll(t *testing.T, want int) {
	t.Helper()
	answer, err := http.Get(w.service.URL + "/api/kms/tenants/acme/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer answer.Body.Close()
	jwks, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := verify.ParseKeySet(jwks)
	if err != nil {
		t.Fatal(err)
	}
	taken, _ := w.backend.bodies()
	verified := 0
	for _, body := range taken {
		verdicts, err := keys.VerifyExport(body, "acme")
		if err != nil {
			t.Fatal(err)
		}
		for _, verdict := range verdicts {
			if !verdict.Verified {
				t.Fatalf("%+v", verdict)
			}
			verified++
		}
	}
	if verified != want {
		t.Errorf("%d spans verify, not %d", verified, want)
	}
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.text.Bytes(), []byte("\n"))
}

func TestSpansArriveSignedInBothModesAndOnce(t *testing.T) {
	for _, mode := range []kmsv1.SignMode{kmsv1.SignMode_SIGN_MODE_LOG, kmsv1.SignMode_SIGN_MODE_INDIVIDUAL} {
		w := startWorld(t)
		provider, exporter := w.export(t, kmsotel.WithMode(mode))
		for i := range 10 {
			end(w.ctx, provider, 100*i, 100)
			if i%3 == 1 {
				w.proxy.Cut()
			}
		}
		if err := provider.Shutdown(w.ctx); err != nil {
			t.Fatal(err)
		}
		names, _ := w.backend.names(t)
		if len(names) != 1000 || exporter.Stats().Delivered != 1000 || len(exporter.Stats().Lost) != 0 {
			t.Errorf("%d names, %+v", len(names), exporter.Stats())
		}
		w.verifyAll(t, 1000)
	}
}

func TestWhatTheBackendDidNotTakeIsSentAgainUnchanged(t *testing.T) {
	w := startWorld(t)
	w.backend.answerBy(unavailable)
	provider, exporter := w.export(t)
	end(w.ctx, provider, 0, 250)
	if err := provider.ForceFlush(w.ctx); err != nil {
		t.Fatal(err)
	}
	for refused := 0; refused < 3; {
		_, bodies := w.backend.bodies()
		refused = len(bodies)
		time.Sleep(time.Millisecond)
	}
	w.backend.answerBy(nil)
	if err := exporter.ForceFlush(w.ctx); err != nil {
		t.Fatal(err)
	}
	taken, refused := w.backend.bodies()
	for _, body := range refused {
		if !bytes.Equal(body, taken[0]) {
			t.Error("another body is sent again")
		}
	}
	if names, _ := w.backend.names(t); len(names) != 250 || exporter.Stats().Delivered != 250 {
		t.Errorf("%d names, %+v", len(names), exporter.Stats())
	}
	w.verifyAll(t, 250)
}

func TestWhatAQueueHasNoRoomForIsCountedAndTold(t *testing.T) {
	w := startWorld(t)
	w.proxy.SetDown(true)
	var told atomic.Int64
	provider, exporter := w.export(t, kmsotel.WithQueue(kmsotel.Queue{Spans: 300, Bytes: 1 << 20}), kmsotel.WithTimeout(500*time.Millisecond),
		kmsotel.WithOnLost(func(cause kmsotel.Cause, spans int) {
			if cause == kmsotel.QueueFull {
				told.Add(int64(spans))
			}
		}))
	end(w.ctx, provider, 0, 1000)
	_ = provider.ForceFlush(w.ctx) // the last export's error
	w.proxy.SetDown(false)
	if err := exporter.ForceFlush(w.ctx); err != nil {
		t.Fatal(err)
	}
	if err := provider.Shutdown(w.ctx); err != nil {
		t.Fatal(err)
	}
	found := exporter.Stats()
	if found.Delivered != 300 || found.Lost[kmsotel.QueueFull] != 700 || told.Load() != 700 {
		t.Errorf("%+v, told %d", found, told.Load())
	}
	if count := w.log.count(); count != 1 {
		t.Errorf("%d lines are logged", count)
	}
	// A backend that is slower than the timeout gets a batch again.
	names, spans := w.backend.names(t)
	if len(names) != 300 {
		t.Errorf("%d spans arrive", len(names))
	}
	w.verifyAll(t, len(spans))
}

func TestARefusedSpanIsForwardedWithTheReasonOrDropped(t *testing.T) {
	for _, policy := range []kmsotel.OnRefused{kmsotel.Forward, kmsotel.Drop} {
		w := startWorld(t)
		provider, exporter := w.export(t, kmsotel.WithOnRefused(policy))
		end(w.ctx, provider, 0, 2)
		_, span := provider.Tracer("test").Start(w.ctx, "bad")
		span.SetAttributes(attribute.String("audit.integrity.fluo.mine", "x"))
		span.End()
		if err := provider.Shutdown(w.ctx); err != nil {
			t.Fatal(err)
		}
		names, spans := w.backend.names(t)
		found := exporter.Stats()
		if found.Refused != 1 {
			t.Errorf("%+v", found)
		}
		if policy == kmsotel.Drop {
			if len(names) != 2 || found.Delivered != 2 || found.Lost[kmsotel.Rejected] != 1 {
				t.Errorf("%v, %+v", names, found)
			}
			w.verifyAll(t, 2)
			continue
		}
		reasons := 0
		for _, span := range spans {
			for _, each := range span.GetAttributes() {
				if each.GetKey() == kmsotel.UnsignedReason && span.GetName() == "bad" && each.GetValue().GetStringValue() != "" {
					reasons++
				}
			}
		}
		if reasons != 1 || found.Delivered != 3 || len(found.Lost) != 0 {
			t.Errorf("%d reasons, %+v", reasons, found)
		}
	}
}

func TestWithoutAQueueAnExportFailsWithItsTimeout(t *testing.T) {
	w := startWorld(t)
	provider, exporter := w.export(t, kmsotel.WithoutQueue())
	end(w.ctx, provider, 0, 100)
	if err := provider.ForceFlush(w.ctx); err != nil {
		t.Fatal(err)
	}
	if found := exporter.Stats(); found.Delivered != 100 {
		t.Errorf("%+v", found)
	}
	w.proxy.SetDown(true)
	impatient, failing := w.export(t, kmsotel.WithoutQueue(), kmsotel.WithTimeout(20*time.Millisecond))
	end(w.ctx, impatient, 100, 50)
	_ = impatient.ForceFlush(w.ctx)
	if found := failing.Stats(); found.Lost[kmsotel.Timeout] != 50 || found.Delivered != 0 {
		t.Errorf("%+v", found)
	}
}

// confused answers a batch that it was never sent.
type confused struct {
	kmsv1.UnimplementedKmsServiceServer
}

func (confused) SignSpans(stream grpc.BidiStreamingServer[kmsv1.SignSpansRequest, kmsv1.SignSpansResponse]) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	_ = stream.Send(&kmsv1.SignSpansResponse{RequestId: "other", BatchDone: true}) // the client may be gone
	<-stream.Context().Done()
	return nil
}

// strict refuses each batch for good.
type strict struct {
	kmsv1.UnimplementedKmsServiceServer
}

func (strict) SignSpans(stream grpc.BidiStreamingServer[kmsv1.SignSpansRequest, kmsv1.SignSpansResponse]) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	return status.Error(grpccodes.InvalidArgument, "no such tenant")
}

func TestWithoutAQueueAnExportFailsWhenNothingWasSigned(t *testing.T) {
	for service, want := range map[kmsv1.KmsServiceServer]kmsotel.Cause{
		strict{}: kmsotel.Rejected, confused{}: kmsotel.Timeout, kmsv1.UnimplementedKmsServiceServer{}: kmsotel.Timeout,
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer()
		kmsv1.RegisterKmsServiceServer(server, service)
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(server.Stop)
		client, err := kms.Dial(listener.Addr().String(), kms.WithInsecure())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), hung)
		defer cancel()
		w := &world{ctx: ctx, backend: startBackend(t), client: client, log: &lines{}}
		timeout := hung
		if want == kmsotel.Timeout {
			timeout = 200 * time.Millisecond
		}
		_, exporter := w.export(t, kmsotel.WithoutQueue(), kmsotel.WithTimeout(timeout))
		if err := exporter.ExportSpans(ctx, tracetest.SpanStubs{{Name: "a"}, {Name: "b"}}.Snapshots()); err == nil {
			t.Errorf("%s: the export succeeds", want)
		}
		if found := exporter.Stats(); found.Lost[want] != 2 || found.Delivered != 0 {
			t.Errorf("%s: %+v", want, found)
		}
	}
}

func TestAShutdownSaysWhatWasNotDelivered(t *testing.T) {
	w := startWorld(t)
	w.backend.answerBy(unavailable)
	read := &meters{}
	provider, exporter := w.export(t, kmsotel.WithMeterProvider(read))
	end(w.ctx, provider, 0, 120)
	if err := provider.ForceFlush(w.ctx); err != nil {
		t.Fatal(err)
	}
	waiting := exporter.Stats()
	if waiting.WaitingSpans != 120 || waiting.WaitingBytes == 0 {
		t.Errorf("%+v", waiting)
	}
	want := map[string]int64{"fluo.kms.exporter.waiting.spans": 120, "fluo.kms.exporter.waiting.bytes": int64(waiting.WaitingBytes)}
	if found := read.gauges(t); !maps.Equal(found, want) {
		t.Errorf("%v", found)
	}
	ended, cancel := context.WithCancel(w.ctx)
	cancel()
	err := exporter.Shutdown(ended)
	var undelivered *kmsotel.UndeliveredError
	if !errors.As(err, &undelivered) || undelivered.Spans != 120 || exporter.Stats().Lost[kmsotel.Shutdown] != 120 {
		t.Errorf("%v, %+v", err, exporter.Stats())
	}
	if found := exporter.Stats(); found.WaitingSpans != 0 || found.WaitingBytes != 0 || read.callback != nil {
		t.Errorf("%+v, or a gauge is left", found)
	}
	end(w.ctx, provider, 120, 1)
	_ = provider.ForceFlush(w.ctx)
	if found := exporter.Stats(); found.Lost[kmsotel.Shutdown] != 121 {
		t.Errorf("%+v", found)
	}
}

func TestABatchThatIsNotDeliveredInTimeIsGivenUp(t *testing.T) {
	w := startWorld(t)
	w.backend.answerBy(unavailable)
	provider, exporter := w.export(t, kmsotel.WithDeliveryAge(10*time.Millisecond))
	end(w.ctx, provider, 0, 10)
	if err := provider.Shutdown(w.ctx); err != nil {
		t.Fatal(err)
	}
	if found := exporter.Stats(); found.Lost[kmsotel.Undeliverable] != 10 || found.Delivered != 0 {
		t.Errorf("%+v", found)
	}
}

func TestWhatTheBackendRejectsOfAnExportIsNotSentAgain(t *testing.T) {
	w := startWorld(t)
	w.backend.answerBy(func(out http.ResponseWriter) bool {
		out.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = out.Write([]byte("\n\x06\b\x02\x12\x02no")) // partial_success {rejected_spans: 2, error_message: "no"}
		return true
	})
	provider, exporter := w.export(t)
	end(w.ctx, provider, 0, 10)
	if err := provider.Shutdown(w.ctx); err != nil {
		t.Fatal(err)
	}
	taken, _ := w.backend.bodies()
	if found := exporter.Stats(); found.Lost[kmsotel.Rejected] != 2 || found.Delivered != 8 || len(taken) != 1 {
		t.Errorf("%+v, %d exports", found, len(taken))
	}
}

func TestWhatTheBackendRefusesForGoodIsDroppedAndTheNextGoesOn(t *testing.T) {
	w := startWorld(t)
	var exports atomic.Int64
	w.backend.answerBy(func(out http.ResponseWriter) bool {
		if exports.Add(1) != 2 {
			return true
		}
		http.Error(out, "no such field", http.StatusBadRequest)
		return false
	})
	var told []kmsotel.Loss
	provider, exporter := w.export(t, kmsotel.WithOnLoss(func(loss kmsotel.Loss) { told = append(told, loss) }))
	end(w.ctx, provider, 0, 300)
	if err := provider.Shutdown(w.ctx); err != nil {
		t.Fatal(err)
	}
	if found := exporter.Stats(); found.Lost[kmsotel.Rejected] != 100 || found.Delivered != 200 {
		t.Errorf("%+v", found)
	}
	if len(told) != 1 || told[0].Cause != kmsotel.Rejected || told[0].Spans != 100 ||
		!strings.Contains(told[0].Err.Error(), "400 Bad Request (body: no such field)") {
		t.Errorf("%+v", told)
	}
	if taken, refused := w.backend.bodies(); len(taken) != 2 || len(refused) != 1 {
		t.Errorf("%d exports are taken, %d refused", len(taken), len(refused))
	}
	w.verifyAll(t, 200)
}

// failing is a delegate that fails at first.
type failing struct {
	errs []error
}

func (f *failing) Start(context.Context) error { return nil }
func (f *failing) Stop(context.Context) error  { return nil }
func (f *failing) UploadTraces(context.Context, []*tracepb.ResourceSpans) error {
	if len(f.errs) == 0 {
		return nil
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return err
}

func TestByGRPCTheBackendRefusesForGoodAsOTLPSays(t *testing.T) {
	w := startWorld(t)
	later, err := status.New(grpccodes.ResourceExhausted, "later").WithDetails(&errdetails.RetryInfo{})
	if err != nil {
		t.Fatal(err)
	}
	passing := map[grpccodes.Code]bool{grpccodes.Canceled: true, grpccodes.DeadlineExceeded: true, grpccodes.Aborted: true,
		grpccodes.OutOfRange: true, grpccodes.Unavailable: true, grpccodes.DataLoss: true}
	want := map[error]bool{later.Err(): true, errors.New("without a code"): true}
	for code := grpccodes.Canceled; code <= grpccodes.Unauthenticated; code++ {
		want[status.Error(code, "no")] = passing[code]
	}
	for refusal, passes := range want {
		// OpenTelemetry's client joins it like this.
		exporter, err := kmsotel.New(w.ctx, &failing{errs: []error{errors.Join(nil, refusal)}}, w.client, "acme",
			kmsotel.WithoutQueue(), kmsotel.WithLogger(slog.New(slog.NewTextHandler(w.log, nil))))
		if err != nil {
			t.Fatal(err)
		}
		err = exporter.ExportSpans(w.ctx, tracetest.SpanStubs{{Name: "a", SpanContext: aContext}}.Snapshots())
		found := exporter.Stats()
		if (err == nil) != passes || (found.Delivered == 1) != passes || (found.Lost[kmsotel.Rejected] == 1) == passes {
			t.Errorf("%v: %v, %+v", refusal, err, found)
		}
		if err := exporter.Shutdown(w.ctx); err != nil {
			t.Error(err)
		}
	}
}

var aContext = oteltrace.NewSpanContext(oteltrace.SpanContextConfig{TraceID: oteltrace.TraceID{1}, SpanID: oteltrace.SpanID{1}})

// meters gives one meter, which keeps the callback of the gauges that it makes.
type meters struct {
	noop.MeterProvider
	meter
}

func (m *meters) Meter(string, ...metric.MeterOption) metric.Meter { return &m.meter }

type meter struct {
	noop.Meter
	callback metric.Callback
}

type gauge struct {
	noop.Int64ObservableGauge
	name string
}

func (m *meter) Int64ObservableGauge(name string, _ ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	return gauge{name: name}, nil
}

func (m *meter) RegisterCallback(callback metric.Callback, _ ...metric.Observable) (metric.Registration, error) {
	m.callback = callback
	return registration{meter: m}, nil
}

type registration struct {
	noop.Registration
	meter *meter
}

func (r registration) Unregister() error {
	r.meter.callback = nil
	return nil
}

// observed has what was observed, by the gauges' names.
type observed struct {
	noop.Observer
	t      *testing.T
	values map[string]int64
}

func (o observed) ObserveInt64(observable metric.Int64Observable, value int64, options ...metric.ObserveOption) {
	set := metric.NewObserveConfig(options).Attributes()
	if tenant, _ := set.Value("fluo.kms.tenant"); tenant.AsString() != "acme" {
		o.t.Errorf("tenant %q", tenant.AsString())
	}
	o.values[observable.(gauge).name] = value
}

func (m *meter) gauges(t *testing.T) map[string]int64 {
	found := observed{t: t, values: map[string]int64{}}
	if err := m.callback(t.Context(), found); err != nil {
		t.Error(err)
	}
	return found.values
}

func TestARefusalThatPassesIsWaitedFor(t *testing.T) {
	w := startWorld(t)
	provider, exporter := w.export(t)
	end(w.ctx, provider, 0, 1)
	if err := errors.Join(provider.ForceFlush(w.ctx), exporter.ForceFlush(w.ctx)); err != nil {
		t.Fatal(err)
	}
	var keyID string
	for key, err := range w.client.Keys(w.ctx, &kmsv1.ListKeysRequest{TenantId: "acme", Purpose: kmsv1.KeyPurpose_KEY_PURPOSE_SIGNING}) {
		if err != nil {
			t.Fatal(err)
		}
		keyID = key.GetVersion().GetKeyId()
	}
	if _, err := w.client.DisableKey(w.ctx, &kmsv1.DisableKeyRequest{TenantId: "acme", KeyId: keyID}); err != nil {
		t.Fatal(err)
	}
	end(w.ctx, provider, 1, 20)
	if err := provider.ForceFlush(w.ctx); err != nil {
		t.Fatal(err)
	}
	// A span signed by itself is refused likewise from now on, so the exporter's is on its way to be, or was.
	if _, err := w.client.SignSpan(w.ctx, &kmsv1.SignSpanRequest{TenantId: "acme", Span: &kmsv1.Span{TraceId: bytes.Repeat([]byte{1}, 16),
		SpanId: bytes.Repeat([]byte{1}, 8)}}); status.Code(err) != grpccodes.FailedPrecondition {
		t.Fatal(err)
	}
	if _, err := w.client.EnableKey(w.ctx, &kmsv1.EnableKeyRequest{TenantId: "acme", KeyId: keyID}); err != nil {
		t.Fatal(err)
	}
	if err := provider.Shutdown(w.ctx); err != nil {
		t.Fatal(err)
	}
	if found := exporter.Stats(); found.Delivered != 21 || len(found.Lost) != 0 {
		t.Errorf("%+v", found)
	}
	w.verifyAll(t, 21)
}

// counting is instrumentation of gRPC.
type counting struct {
	stats.Handler
	calls atomic.Int64
}

func (c *counting) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	c.calls.Add(1)
	return ctx
}
func (c *counting) HandleRPC(context.Context, stats.RPCStats)                         {}
func (c *counting) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (c *counting) HandleConn(context.Context, stats.ConnStats)                       {}

func TestTheExportersOwnCallsAreNotInstrumented(t *testing.T) {
	w := startWorld(t)
	seen := &counting{}
	client, err := kms.Dial(w.service.Address, kms.WithInsecure(), kms.WithStatsHandler(seen))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	w.client = client
	provider, _ := w.export(t)
	end(w.ctx, provider, 0, 3)
	if err := provider.Shutdown(w.ctx); err != nil {
		t.Fatal(err)
	}
	w.verifyAll(t, 3)
	if seen.calls.Load() != 0 {
		t.Errorf("%d calls are instrumented", seen.calls.Load())
	}
	if _, err := client.Status(w.ctx, &kmsv1.StatusRequest{}); err != nil || seen.calls.Load() != 1 {
		t.Errorf("%d calls, %v", seen.calls.Load(), err)
	}
}
