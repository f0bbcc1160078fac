package kms

import (
	"context"
	"fmt"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// Client has the methods of all services of fluo-kms, over one connection. It is safe for use by several
// goroutines.
type Client struct {
	kmsv1.KmsServiceClient
	kmsv1.LogServiceClient
	kmsv1.KeyAdminServiceClient

	conn *grpc.ClientConn
}

const (
	defaultDeadline = 10 * time.Second
	// The server's own limit.
	maxMessageBytes = 4 << 20
	// A service that comes back is found within this time.
	maxConnectDelay = 5 * time.Second
)

// Dial opens a client of the service at target, HOST:PORT or any name that gRPC takes. It connects with the
// first call. Without options it uses TLS, and trusts the authorities that the system does.
//
// A unary call without a deadline gets one of 10 s; a stream gets none. Calls that fail with UNAVAILABLE or
// RESOURCE_EXHAUSTED are tried up to four times if they may be repeated: all unary ones but Rotate, Validate,
// VerifyAudit and those that change a key. Messages may have 4 MiB.
func Dial(target string, options ...Option) (*Client, error) {
	s := settings{deadline: defaultDeadline}
	for _, option := range options {
		option(&s)
	}
	dialOptions, err := s.dialOptions(target)
	if err != nil {
		return nil, fmt.Errorf("kms: %w", err)
	}
	conn, err := grpc.NewClient(target, append(dialOptions, s.further...)...)
	if err != nil {
		return nil, fmt.Errorf("kms: %w", err)
	}
	return &Client{
		KmsServiceClient:      kmsv1.NewKmsServiceClient(conn),
		LogServiceClient:      kmsv1.NewLogServiceClient(conn),
		KeyAdminServiceClient: kmsv1.NewKeyAdminServiceClient(conn),
		conn:                  conn,
	}, nil
}

// Close ends all calls and closes the connection. Closing again does nothing.
func (c *Client) Close() error {
	if err := c.conn.Close(); status.Code(err) != codes.Canceled { // what gRPC says of one that is closed
		return err
	}
	return nil
}

func (s *settings) dialOptions(target string) ([]grpc.DialOption, error) {
	transport, err := s.transport()
	if err != nil {
		return nil, err
	}
	connect := backoff.DefaultConfig
	connect.BaseDelay, connect.MaxDelay = 100*time.Millisecond, maxConnectDelay
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(serviceConfig()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: connect, MinConnectTimeout: maxConnectDelay}),
		grpc.WithUserAgent("fluo-kms-go/" + Version),
		grpc.WithChainUnaryInterceptor(deadlineInterceptor(s.deadline)),
	}
	if s.token != nil {
		if s.insecure && !isLoopback(target) {
			return nil, fmt.Errorf("a token would cross the network unencrypted to %s: leave out WithInsecure, or reach the service by a loopback address", target)
		}
		options = append(options, grpc.WithPerRPCCredentials(bearer{token: s.token, isCleartext: s.insecure}))
	}
	if s.statsHandler != nil {
		options = append(options, grpc.WithStatsHandler(quietable{s.statsHandler}))
	}
	return options, nil
}

// deadlineInterceptor gives unary calls without a deadline one; 0 means none.
func deadlineInterceptor(deadline time.Duration) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		if _, ok := ctx.Deadline(); !ok && deadline > 0 {
			bounded, cancel := context.WithTimeout(ctx, deadline)
			defer cancel()
			ctx = bounded
		}
		return invoke(ctx, method, request, reply, conn, options...)
	}
}
