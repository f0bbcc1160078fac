// A caller of the service in Go, by grpc-go and the service's own descriptors. Its argument says in JSON what it calls and by which
// credential; it prints in JSON how that ended. With "load" it calls without pause until its standard input ends: on one channel, and on a new
// channel for each call. It prints "calling" after its first call.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Files but the descriptors are PEM.
type asked struct {
	Address, Descriptors, Method string
	Request                      json.RawMessage
	CA, Certificate, Key, Token  string
	Load                         bool
}

type outcome struct {
	Code   string `json:"code"`
	Text   string `json:"text"`
	Reason string `json:"reason,omitempty"`
}

type summary struct {
	Calls       int64     `json:"calls"`
	Connections int64     `json:"connections"`
	Failures    []outcome `json:"failures"`
}

type caller struct {
	asked
	method      protoreflect.MethodDescriptor
	credentials credentials.TransportCredentials
	connections atomic.Int64
}

func main() {
	var c caller
	must(json.Unmarshal([]byte(os.Args[1]), &c.asked))
	c.method = methodOf(c.Descriptors, c.Method)
	c.credentials = credentials.NewTLS(c.tlsConfig())
	channel := c.dial(grpc.WithStatsHandler(&c))
	first := c.call(channel)
	if !c.Load {
		print(first)
		return
	}
	fmt.Println("calling")
	print(c.load(channel, first))
}

func (c *caller) load(channel *grpc.ClientConn, first outcome) summary {
	var ended atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		ended.Store(true)
	}()
	sum := summary{Failures: []outcome{}}
	var lock sync.Mutex
	count := func(o outcome) {
		lock.Lock()
		defer lock.Unlock()
		sum.Calls++
		if o.Code != "OK" {
			sum.Failures = append(sum.Failures, o)
		}
	}
	count(first)
	var both sync.WaitGroup
	both.Go(func() {
		for !ended.Load() {
			count(c.call(channel))
		}
	})
	both.Go(func() {
		for !ended.Load() {
			fresh := c.dial()
			count(c.call(fresh))
			must(fresh.Close())
		}
	})
	both.Wait()
	sum.Connections = c.connections.Load()
	return sum
}

// The certificate is read at each handshake, so that a renewed one is shown.
func (c *caller) tlsConfig() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(read(c.CA))
	config := &tls.Config{RootCAs: roots}
	if c.Certificate != "" {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := c.pair()
			return &pair, err
		}
	}
	return config
}

// A file that holds both is read once: between two reads it may have been replaced, and the key would be of another certificate.
func (c *caller) pair() (tls.Certificate, error) {
	certificate := read(c.Certificate)
	if c.Key == c.Certificate {
		return tls.X509KeyPair(certificate, certificate)
	}
	return tls.X509KeyPair(certificate, read(c.Key))
}

func (c *caller) dial(options ...grpc.DialOption) *grpc.ClientConn {
	channel, err := grpc.NewClient(c.Address, append(options, grpc.WithTransportCredentials(c.credentials))...)
	must(err)
	return channel
}

func (c *caller) call(channel *grpc.ClientConn) outcome {
	ctx := context.Background()
	if c.Token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.Token)
	}
	request, answer := dynamicpb.NewMessage(c.method.Input()), dynamicpb.NewMessage(c.method.Output())
	must(protojson.Unmarshal(c.Request, request))
	path := fmt.Sprintf("/%s/%s", c.method.Parent().FullName(), c.method.Name())
	failure := status.Convert(channel.Invoke(ctx, path, request, answer))
	told := outcome{Code: failure.Code().String(), Text: failure.Message()}
	for _, detail := range failure.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			told.Reason = info.Reason
		}
	}
	return told
}

func methodOf(file, name string) protoreflect.MethodDescriptor {
	var set descriptorpb.FileDescriptorSet
	must(proto.Unmarshal(read(file), &set))
	files, err := protodesc.NewFiles(&set)
	must(err)
	found, err := files.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(name, "/", ".")))
	must(err)
	return found.(protoreflect.MethodDescriptor)
}

func (c *caller) HandleConn(_ context.Context, s stats.ConnStats) {
	if _, begins := s.(*stats.ConnBegin); begins {
		c.connections.Add(1)
	}
}
func (*caller) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*caller) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*caller) HandleRPC(context.Context, stats.RPCStats)                         {}

func read(file string) []byte {
	bytes, err := os.ReadFile(file)
	must(err)
	return bytes
}

func print(value any) {
	must(json.NewEncoder(os.Stdout).Encode(value))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
