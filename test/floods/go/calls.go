// Floods of calls, at most as many at a time as a connection may have streams.
package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

type callsAttack struct {
	connections int
	settings    []http2.Setting
	unit        string
	message     []byte
	token       func() string
	// Calls a second of each connection; 0: as many as there are streams for.
	rate float64
}

func (f *flood) calls(a callsAttack) {
	f.keep(f.connectionsOr(a.connections), func() {
		c := f.open(a.settings...)
		if c == nil {
			return
		}
		free := make(chan struct{}, streams)
		for range streams {
			free <- struct{}{}
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			how := c.read(func(frame http2.Frame) { f.see(frame, free) })
			f.closed(how, c.conn)
		}()
		f.add(a.unit, c.call(a, newBlocks(f), free, done))
		<-done
	})
}

// Frees the stream of a call that is over.
func (f *flood) see(frame http2.Frame, free chan<- struct{}) {
	f.countResets(frame)
	isOver := false
	switch is := frame.(type) {
	case *http2.RSTStreamFrame:
		isOver = true
	case *http2.HeadersFrame:
		isOver = is.StreamEnded()
	case *http2.DataFrame:
		isOver = is.StreamEnded()
	}
	if !isOver {
		return
	}
	f.add("calls over", 1)
	select {
	case free <- struct{}{}:
	default:
	}
}

// Returns how many calls it began until the connection was done.
func (c *connection) call(a callsAttack, all *blocks, free <-chan struct{}, done <-chan struct{}) (begun int64) {
	start := time.Now()
	for id := uint32(1); c.takeStream(free, done); id += 2 {
		if a.rate > 0 && !c.waitUntil(start.Add(time.Duration(float64(begun)/a.rate*float64(time.Second)))) {
			return
		}
		headers := http2.HeadersFrameParam{StreamID: id, BlockFragment: all.next(a.token()), EndHeaders: true}
		if c.WriteHeaders(headers) != nil || c.WriteData(id, true, a.message) != nil {
			return
		}
		begun++
	}
	return
}

// Waits for a stream that is free. False once the connection is done.
func (c *connection) takeStream(free <-chan struct{}, done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	case <-free:
		return true
	default:
		// Answers to what is not sent yet would never come.
		if c.out.Flush() != nil {
			return false
		}
	}
	select {
	case <-done:
		return false
	case <-free:
		return true
	}
}

// False if the connection broke.
func (c *connection) waitUntil(due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return true
	}
	err := c.out.Flush()
	time.Sleep(wait)
	return err == nil
}

const callConnections = 20

// Calls without a credential, as many as there are streams for.
func strangers(f *flood) {
	f.calls(callsAttack{
		connections: callConnections, unit: "calls without a token", message: f.message(),
		token: func() string { return "" }, rate: f.ratePerConnection(0, callConnections),
	})
}

// Calls with a token each that only its signature gives away.
func forgedTokens(f *flood) {
	header := part(map[string]any{"alg": "RS256", "typ": "JWT", "kid": f.kid})
	var number atomic.Int64
	signature := make([]byte, 256)
	token := func() string {
		now := time.Now().Unix()
		claims := part(map[string]any{
			"iss": f.issuer, "aud": "fluo-kms", "sub": "ingest",
			"iat": now, "exp": now + 600, "jti": fmt.Sprint(number.Add(1)),
		})
		_, _ = rand.Read(signature)
		// A signature is a number below the modulus, whose highest bit is set.
		signature[0] &= 0x7f
		return header + "." + claims + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	f.calls(callsAttack{
		connections: callConnections, unit: "calls with a forged token", message: f.message(), token: token,
		rate: f.ratePerConnection(10_000, callConnections),
	})
}

func (o *options) ratePerConnection(usual, connections int) float64 {
	return float64(o.rateOr(usual)) / float64(o.connectionsOr(connections))
}

func part(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		fail(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}
