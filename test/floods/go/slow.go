// Floods of connections on which next to nothing happens.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

const manyConnections = 3_000

// TCP connections without a byte of TLS.
func halfOpen(f *flood) {
	f.keep(f.connectionsOr(manyConnections), func() {
		if conn := f.dial(f.grpc); conn != nil {
			_, err := io.Copy(io.Discard, conn)
			if err == nil {
				err = io.EOF
			}
			f.closed(howEnded(err), conn)
		}
	})
}

// Connections of HTTP/2 that call nothing.
func silent(f *flood) {
	f.keep(f.connectionsOr(manyConnections), func() {
		if c := f.open(); c != nil {
			f.closed(c.read(f.countResets), c.conn)
		}
	})
}

const handshakeConnections = 10

// Connections that end as soon as TLS stands: what all floods cost that connect again.
func handshakes(f *flood) {
	f.keep(f.connectionsOr(handshakeConnections), func() {
		if conn := f.dialTLS(f.grpc, http2.NextProtoTLS); conn != nil {
			_ = conn.NetConn().Close()
		}
	})
}

const (
	declaredBytes = 2 * 1024 * 1024
	// What a caller with a grant sends at once.
	firstBytes = 100 * 1024
	byteEvery  = time.Second
)

// POSTs over HTTP/1.1 whose bodies come byte by byte.
func slowBodies(f *flood) {
	const path = "/fluo.kms.v1.KmsService/EncryptPii"
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n",
		path, declaredBytes)
	first := []byte(`{"tenantId":"acme","fields":[{"name":"`)
	if f.token != "" {
		head += "authorization: Bearer " + f.token + "\r\n"
		first = append(first, bytes.Repeat([]byte("n"), firstBytes)...)
	}
	start := append([]byte(head+"\r\n"), first...)
	f.keep(f.connectionsOr(manyConnections), func() { f.slowBody(start) })
}

func (f *flood) slowBody(start []byte) {
	conn := f.dialTLS(f.http, "http/1.1")
	if conn == nil {
		return
	}
	ended := make(chan error, 1)
	go func() {
		reader := bufio.NewReader(conn)
		line, err := reader.ReadString('\n')
		if err == nil {
			f.add("answered "+statusOf(line), 1)
			_, err = io.Copy(io.Discard, reader)
		}
		if err == nil {
			err = io.EOF
		}
		ended <- err
	}()
	if _, err := conn.Write(start); err == nil {
		f.add("bodies begun", 1)
	}
	every := time.NewTicker(byteEvery)
	defer every.Stop()
	for {
		select {
		case err := <-ended:
			f.closed(howEnded(err), conn)
			return
		case <-every.C:
			_, _ = conn.Write([]byte("n"))
		}
	}
}

func statusOf(line string) string {
	words := strings.Fields(line)
	if len(words) < 2 || !strings.HasPrefix(words[0], "HTTP/1.") {
		return "no HTTP"
	}
	return strings.Join(words[1:], " ")
}
