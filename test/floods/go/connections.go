// Connections of a flood, and how the service ends them.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"sync"
	"syscall"
	"time"
)

// Counts by name. A hot loop counts by itself and adds its sum.
type tally struct {
	lock   sync.Mutex
	counts map[string]int64
}

func (t *tally) add(name string, count int64) {
	if count == 0 {
		return
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	if t.counts == nil {
		t.counts = map[string]int64{}
	}
	t.counts[name] += count
}

func (t *tally) counted() map[string]int64 {
	t.lock.Lock()
	defer t.lock.Unlock()
	return maps.Clone(t.counts)
}

// Spaces the opening of connections evenly.
type pacer struct {
	lock  sync.Mutex
	every time.Duration
	next  time.Time
}

func newPacer(perSecond int) *pacer {
	if perSecond == 0 {
		return &pacer{}
	}
	return &pacer{every: time.Second / time.Duration(perSecond)}
}

func (p *pacer) wait(ctx context.Context) {
	if p.every == 0 {
		return
	}
	p.lock.Lock()
	if now := time.Now(); p.next.Before(now) {
		p.next = now
	}
	due := p.next
	p.next = p.next.Add(p.every)
	p.lock.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(due)):
	}
}

// Connections that are dialed at a time: more would only wait for each other.
const dialsAtOnce = 10

// Keeps so many connections: each is opened again as soon as `use` returns.
func (f *flood) keep(count int, use func()) {
	var all sync.WaitGroup
	for range count {
		all.Go(func() {
			for f.context.Err() == nil {
				use()
			}
		})
	}
	all.Wait()
}

var dialing = make(chan struct{}, dialsAtOnce)

// Opens a connection, which is closed when the flood ends. Nil if it was refused, which is counted.
func (f *flood) dial(address string) net.Conn {
	f.pacer.wait(f.context)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(f.from)}}
	conn, err := dialer.DialContext(f.context, "tcp", address)
	if err != nil {
		if f.context.Err() == nil {
			f.add("connections refused: "+howEnded(err), 1)
			time.Sleep(10 * time.Millisecond)
		}
		return nil
	}
	f.add("connections", 1)
	// The port is free at once for the next connection.
	_ = conn.(*net.TCPConn).SetLinger(0)
	context.AfterFunc(f.context, func() { _ = conn.Close() })
	return conn
}

// Nil if the connection or its handshake failed, which is counted.
func (f *flood) dialTLS(address string, protocol string) *tls.Conn {
	dialing <- struct{}{}
	defer func() { <-dialing }()
	raw := f.dial(address)
	if raw == nil {
		return nil
	}
	config := f.tls.Clone()
	config.ServerName = "localhost"
	config.NextProtos = []string{protocol}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(f.context); err != nil {
		f.closed("in the handshake, "+howEnded(err), raw)
		return nil
	}
	f.add("handshakes", 1)
	return conn
}

// Counts a connection that the service ended, and frees it.
func (f *flood) closed(how string, conn net.Conn) {
	if f.context.Err() == nil {
		f.add("closed: "+how, 1)
	}
	_ = conn.Close()
}

func howEnded(err error) string {
	var timeout net.Error
	var operation *net.OpError
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "eof"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &operation):
		// Its text has the ports, which are others each time.
		return operation.Err.Error()
	default:
		return err.Error()
	}
}
