// The client that is measured: calls at a fixed pace, as a real client of grpc-go makes them.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
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
	newEvery = 2 * time.Second
)

type measured struct {
	Count int `json:"count"`
	// Calls that failed, by code.
	Failures map[string]int `json:"failures"`
	Reason   string         `json:"reason,omitempty"`
	P50Ms    float64        `json:"p50Ms"`
	P99Ms    float64        `json:"p99Ms"`
	MaxMs    float64        `json:"maxMs"`
	// The slowest call of those on a connection of its own.
	NewMs float64 `json:"newMs"`
}

type client struct {
	flood   *flood
	request []byte
	context context.Context
	lock    sync.Mutex
	tookMs  []float64
	sum     measured
}

// Calls are due at a fixed pace, and a call's time counts from when it was due. So one that waits for others counts, too.
func healthy(f *flood) measured {
	c := newClient(f)
	channel := c.dial()
	defer channel.Close()
	for range f.warm {
		c.call(channel, time.Now())
	}
	c.tookMs = nil
	waitToBegin()
	var all sync.WaitGroup
	all.Go(c.callOnNewConnections)
	every := time.Second / time.Duration(f.rateOr(healthyRate))
	start := time.Now()
	for due := start; due.Sub(start).Seconds() < f.seconds; due = due.Add(every) {
		time.Sleep(time.Until(due))
		all.Go(func() {
			took := c.call(channel, due)
			c.lock.Lock()
			defer c.lock.Unlock()
			c.tookMs = append(c.tookMs, took)
		})
	}
	all.Wait()
	slices.Sort(c.tookMs)
	c.sum.Count = len(c.tookMs)
	c.sum.P50Ms, c.sum.P99Ms, c.sum.MaxMs = quantile(c.tookMs, 0.5), quantile(c.tookMs, 0.99), quantile(c.tookMs, 1)
	return c.sum
}

// Whoever runs this begins the flood then, and says so by a line.
func waitToBegin() {
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

func newClient(f *flood) *client {
	request, err := base64.StdEncoding.DecodeString(f.request)
	if err != nil {
		fail(err)
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+f.token)
	return &client{flood: f, request: request, context: ctx, sum: measured{Failures: map[string]int{}}}
}

func (c *client) dial() *grpc.ClientConn {
	config := c.flood.tls.Clone()
	config.ServerName = "localhost"
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.flood.from)}}
	channel, err := grpc.NewClient("passthrough:///"+c.flood.grpc,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(asItIs{})),
		grpc.WithDisableRetry())
	if err != nil {
		fail(err)
	}
	return channel
}

// Newcomers: each opens a connection for one call.
func (c *client) callOnNewConnections() {
	end := time.Now().Add(time.Duration(c.flood.seconds * float64(time.Second)))
	for {
		time.Sleep(newEvery)
		if time.Now().After(end) {
			return
		}
		channel := c.dial()
		c.sum.NewMs = max(c.sum.NewMs, c.call(channel, time.Now()))
		_ = channel.Close()
	}
}

// Returns how long it took since it was due.
func (c *client) call(channel *grpc.ClientConn, due time.Time) float64 {
	ctx, cancel := context.WithTimeout(c.context, patience)
	defer cancel()
	var answer []byte
	err := channel.Invoke(ctx, c.flood.method, c.request, &answer)
	took := ms(time.Since(due))
	if err != nil {
		failure := status.Convert(err)
		c.lock.Lock()
		defer c.lock.Unlock()
		c.sum.Failures[failure.Code().String()]++
		c.sum.Reason = failure.Message()
	}
	return took
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
