// The client that is measured: calls at a fixed pace, as a real client of grpc-go makes them.
package main

import (
	"context"
	"encoding/base64"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	healthyRate = 100
	// A call that takes longer fails.
	patience = 10 * time.Second
)

type measured struct {
	Count int `json:"count"`
	// By code.
	Failures map[string]int `json:"failures"`
	Reason   string         `json:"reason,omitempty"`
	// Until the first call was answered, on a new connection.
	FirstMs float64 `json:"firstMs"`
	P50Ms   float64 `json:"p50Ms"`
	P99Ms   float64 `json:"p99Ms"`
	MaxMs   float64 `json:"maxMs"`
}

type client struct {
	*grpc.ClientConn
	method  string
	request []byte
	context context.Context
	lock    sync.Mutex
	tookMs  []float64
	sum     measured
}

// Calls are due at a fixed pace, and a call's time counts from when it was due. So one that waits for others counts, too.
func healthy(f *flood) measured {
	c := newClient(f)
	defer c.Close()
	begun := time.Now()
	c.call(begun)
	c.sum.FirstMs = ms(time.Since(begun))
	for range f.warm {
		c.call(time.Now())
	}
	c.tookMs = nil
	every := time.Second / time.Duration(f.rateOr(healthyRate))
	start := time.Now()
	var all sync.WaitGroup
	for due := start; due.Sub(start).Seconds() < f.seconds; due = due.Add(every) {
		time.Sleep(time.Until(due))
		all.Go(func() { c.call(due) })
	}
	all.Wait()
	slices.Sort(c.tookMs)
	c.sum.Count = len(c.tookMs)
	c.sum.P50Ms, c.sum.P99Ms, c.sum.MaxMs = quantile(c.tookMs, 0.5), quantile(c.tookMs, 0.99), quantile(c.tookMs, 1)
	return c.sum
}

func newClient(f *flood) *client {
	request, err := base64.StdEncoding.DecodeString(f.request)
	if err != nil {
		fail(err)
	}
	config := f.tls.Clone()
	config.ServerName = "localhost"
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(f.from)}}
	conn, err := grpc.NewClient("passthrough:///"+f.grpc,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(asItIs{})),
		grpc.WithDisableRetry())
	if err != nil {
		fail(err)
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+f.token)
	return &client{ClientConn: conn, method: f.method, request: request, context: ctx,
		sum: measured{Failures: map[string]int{}}}
}

func (c *client) call(due time.Time) {
	ctx, cancel := context.WithTimeout(c.context, patience)
	defer cancel()
	var answer []byte
	err := c.Invoke(ctx, c.method, c.request, &answer)
	took := ms(time.Since(due))
	c.lock.Lock()
	defer c.lock.Unlock()
	c.tookMs = append(c.tookMs, took)
	if err != nil {
		failure := status.Convert(err)
		c.sum.Failures[failure.Code().String()]++
		c.sum.Reason = failure.Message()
	}
}

func quantile(sorted []float64, part float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}

func ms(duration time.Duration) float64 {
	return float64(duration.Microseconds()) / 1_000
}

// Messages are bytes already.
type asItIs struct{}

func (asItIs) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(message.([]byte))}, nil
}

func (asItIs) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

func (asItIs) Name() string { return "proto" }
