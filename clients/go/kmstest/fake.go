package kmstest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"github.com/fluo-dev/fluo-kms/clients/go/verify"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// Fake is a service of the methods that the package's documentation names. It is safe for use by several goroutines.
type Fake struct {
	now           func() time.Time
	clientOptions []kms.Option
	keys          *verify.KeySet
	client        *kms.Client
	server        *grpc.Server

	mu       sync.Mutex
	refusals map[string]*setRefusal
}

// Option changes a [Fake].
type Option func(*Fake)

// WithClock has spans signed at the times that now returns, in place of the system's. It may be called by several
// goroutines.
func WithClock(now func() time.Time) Option { return func(f *Fake) { f.now = now } }

// WithClientOptions opens the client with further options, such as [kms.WithDeadline] or [kms.WithStatsHandler].
func WithClientOptions(options ...kms.Option) Option {
	return func(f *Fake) { f.clientOptions = append(f.clientOptions, options...) }
}

// New returns a fake that is closed when the test ends.
func New(t testing.TB, options ...Option) *Fake {
	t.Helper()
	fake, err := Start(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fake.Close(); err != nil {
			t.Error(err)
		}
	})
	return fake
}

// Start returns a fake for programs and frameworks without a [testing.TB]. Close it in the end.
func Start(options ...Option) (*Fake, error) {
	f := &Fake{now: time.Now, refusals: map[string]*setRefusal{}}
	for _, option := range options {
		option(f)
	}
	var err error
	if f.keys, err = verify.ParseKeySet(f.KeySet()); err != nil {
		return nil, fmt.Errorf("kmstest: %w", err)
	}
	listener := bufconn.Listen(1 << 20)
	f.clientOptions = append([]kms.Option{kms.WithInsecure(), kms.WithDialOptions(
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))}, f.clientOptions...)
	// A name of a loopback host, so that a token function is taken.
	if f.client, err = kms.Dial("passthrough:localhost", f.clientOptions...); err != nil {
		return nil, fmt.Errorf("kmstest: %w", err)
	}
	f.server = grpc.NewServer(grpc.MaxRecvMsgSize(maxMessageBytes), grpc.ForceServerCodecV2(codec{}), grpc.UnknownServiceHandler(unimplemented))
	f.server.RegisterService(&methods, f)
	go func() { _ = f.server.Serve(listener) }() // ends with Close
	return f, nil
}

// Client returns a client of the fake, an ordinary one, which is closed with it.
func (f *Fake) Client() *kms.Client { return f.client }

// Close ends all calls, and closes the client.
func (f *Fake) Close() error {
	err := f.client.Close()
	f.server.Stop()
	return err
}

// KeySet returns the public key of every tenant as the service serves it: the text of a jwks.json, for
// [verify.ParseKeySet].
func (f *Fake) KeySet() []byte {
	text, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "OKP", "crv": "Ed25519", "x": base64url(signingKey.publicKey()), "kid": keyID, "alg": "EdDSA", "use": "sig", "state": "ACTIVE",
	}}})
	if err != nil {
		panic(err) // of strings
	}
	return text
}

// methods are those that the fake has. SignSpan and VerifySpan get their request as it was sent, since decoding hides what
// the service refuses.
var methods = grpc.ServiceDesc{
	ServiceName: kmsv1.KmsService_ServiceDesc.ServiceName,
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		method("GenerateDataKey", (*Fake).generateDataKey),
		method("DecryptDataKey", (*Fake).decryptDataKey),
		method("EncryptPii", (*Fake).encryptPii),
		method("DecryptPii", (*Fake).decryptPii),
		method("SignSpan", (*Fake).signSpan),
		method("VerifySpan", (*Fake).verifySpan),
	},
}

func method[Request, Response any](name string, answer func(*Fake, *Request) (*Response, error)) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(service any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		f := service.(*Fake)
		request := new(Request)
		if err := decode(request); err != nil {
			return nil, err
		}
		// Behind the request: to a client that has not sent it yet, gRPC gives io.EOF for the status of its last try.
		if err := f.refusal(ctx, name); err != nil {
			return nil, err
		}
		response, err := answer(f, request)
		if err != nil {
			return nil, err
		}
		return response, nil
	}}
}

func unimplemented(_ any, stream grpc.ServerStream) error {
	name, _ := grpc.MethodFromServerStream(stream)
	return status.Errorf(codes.Unimplemented, "kmstest has no log and no administration: test %s against a service that npm start runs", name)
}
