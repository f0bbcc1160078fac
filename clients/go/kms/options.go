package kms

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// Option changes how [Dial] opens a client.
type Option func(*settings)

type settings struct {
	insecure          bool
	caFile            string
	certFile, keyFile string
	token             TokenFunc
	deadline          time.Duration
	statsHandler      stats.Handler
	further           []grpc.DialOption
}

// WithInsecure connects without TLS: for a service on this machine, or behind a proxy that encrypts. Nothing
// but plain text then protects PII and data keys on their way.
func WithInsecure() Option { return func(s *settings) { s.insecure = true } }

// WithCAFile trusts the authorities in a PEM file, in place of those that the system trusts. The file is read
// again for each connection.
func WithCAFile(path string) Option { return func(s *settings) { s.caFile = path } }

// WithClientCertificate shows a certificate: the chain and the key are PEM files, which are read again for each
// connection, so that a renewed certificate is used. While the two are no pair, the former pair is shown until it ends.
func WithClientCertificate(certFile, keyFile string) Option {
	return func(s *settings) { s.certFile, s.keyFile = certFile, keyFile }
}

// TokenFunc returns the bearer token of a call. It is asked for each call, and should keep a token for as long as
// that is valid.
type TokenFunc func(ctx context.Context) (string, error)

// WithToken sends a bearer token with each call. Without TLS it is refused, unless the target is a loopback
// address.
func WithToken(token TokenFunc) Option { return func(s *settings) { s.token = token } }

// WithDeadline replaces the 10 s that a unary call without a deadline may take; 0 means no deadline.
func WithDeadline(deadline time.Duration) Option { return func(s *settings) { s.deadline = deadline } }

// WithStatsHandler instruments the client, by OpenTelemetry's otelgrpc.NewClientHandler() for example. The streams
// of a [SpanSigner] are left out: an exporter that traced its own calls would never be done.
func WithStatsHandler(handler stats.Handler) Option {
	return func(s *settings) { s.statsHandler = handler }
}

// WithDialOptions passes further options to gRPC; they come last. Instrument by [WithStatsHandler] instead.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.further = append(s.further, options...) }
}
