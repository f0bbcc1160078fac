package verify

import "fmt"

const (
	traceIDBytes   = 16
	spanIDBytes    = 8
	lastKind       = 5
	lastStatusCode = 2
)

var (
	spanFields = fields{10: "trace_id", 18: "span_id", 26: "trace_state", 34: "parent_span_id", 42: "name", 48: "kind",
		57: "start_time_unix_nano", 65: "end_time_unix_nano", 74: "attributes", 80: "dropped_attributes_count", 90: "events",
		96: "dropped_events_count", 106: "links", 112: "dropped_links_count", 122: "status", 133: "flags"}
	eventFields = fields{9: "time_unix_nano", 18: "name", 26: "attributes", 32: "dropped_attributes_count"}
	linkFields  = fields{10: "trace_id", 18: "span_id", 26: "trace_state", 34: "attributes", 40: "dropped_attributes_count",
		53: "flags"}
	statusFields = fields{18: "message", 24: "code"}
)

// loneSpan is a span without its resource and scope.
type loneSpan struct {
	traceID, spanID []byte
	// text is the span's part of the canonical form, as JSON in any order of members.
	text []byte
	// integrity holds the attributes of the signature, which are not part of that.
	integrity integrity
}

// eachField calls read for every field of a message in turn, and names the field in its error. A field
// that is not in repeated may be there once. A field of another type, or that is not known, is a fault.
func eachField(message []byte, known fields, repeated uint64, read func(w *wire, tag uint64) error) error {
	w := wire{message}
	var seen singular
	for w.more() {
		tag, err := w.tag()
		if err != nil {
			return err
		}
		name, ok := known[tag]
		if !ok {
			return known.unexpected(tag)
		}
		err = read(&w, tag)
		if err == nil && repeated&(1<<(tag>>3)) == 0 {
			err = seen.once(tag)
		}
		if err != nil {
			return within(err, name)
		}
	}
	return nil
}

func readSpan(message []byte) (span loneSpan, err error) {
	attributes := newMembers()
	var (
		events, links                                        [][]byte
		traceState, name, parentID, status                   []byte
		kind, droppedAttributes, droppedEvents, droppedLinks uint32
		startTime, endTime                                   uint64
	)
	err = eachField(message, spanFields, 1<<9|1<<11|1<<13, func(w *wire, tag uint64) (err error) {
		switch tag {
		case 10:
			span.traceID, err = w.id(traceIDBytes)
		case 18:
			span.spanID, err = w.id(spanIDBytes)
		case 26:
			traceState, err = w.text()
		case 34:
			parentID, err = w.id(spanIDBytes)
		case 42:
			name, err = w.text()
		case 48:
			kind, err = w.enum(lastKind)
		case 57:
			startTime, err = w.fixed64()
		case 65:
			endTime, err = w.fixed64()
		case 74:
			err = span.readAttribute(w, &attributes)
		case 80:
			droppedAttributes, err = w.uint32()
		case 90:
			events, err = appendMessage(events, w, readEvent)
		case 96:
			droppedEvents, err = w.uint32()
		case 106:
			links, err = appendMessage(links, w, readLink)
		case 112:
			droppedLinks, err = w.uint32()
		case 122:
			status, err = readMessage(w, readStatus)
		case 133:
			err = w.skipFixed32()
		}
		return err
	})
	switch {
	case err != nil:
		return span, err
	case span.traceID == nil:
		return span, within(refused("is missing or all zero; give the 16 bytes of the trace's id"), "trace_id")
	case span.spanID == nil:
		return span, within(refused("is missing or all zero; give the 8 bytes of the span's id"), "span_id")
	}
	out := attributes.into(newObject()).uint32("droppedAttributesCount", droppedAttributes).
		uint32("droppedEventsCount", droppedEvents).uint32("droppedLinksCount", droppedLinks).
		fixed64("endTimeUnixNano", endTime).list("events", events).uint32("kind", kind).list("links", links).
		text("name", name).id("parentSpanId", parentID).id("spanId", span.spanID).
		fixed64("startTimeUnixNano", startTime)
	if status != nil {
		out = out.raw("status", status)
	}
	span.text = out.id("traceId", span.traceID).text("traceState", traceState).close()
	return span, nil
}

// readAttribute takes the attributes of a signature out of the list: they do not count against its limit.
func (s *loneSpan) readAttribute(w *wire, attributes *members) error {
	index := len(attributes.keys) + s.integrity.count()
	entry, err := readAttribute(w)
	isTaken := false
	if err == nil {
		isTaken, err = s.integrity.take(entry)
	}
	if err == nil && !isTaken {
		err = attributes.addAttribute(entry)
	}
	return withinIndex(err, index)
}

// readMessage reads a nested message as JSON text.
func readMessage(w *wire, read func([]byte) ([]byte, error)) ([]byte, error) {
	content, err := w.bytes()
	if err != nil {
		return nil, err
	}
	return read(content)
}

func appendMessage(list [][]byte, w *wire, read func([]byte) ([]byte, error)) ([][]byte, error) {
	item, err := readMessage(w, read)
	return append(list, item), withinIndex(err, len(list))
}

// An event or a link with every field at its default is still written, as {}; a status is not.

func readEvent(message []byte) ([]byte, error) {
	attributes := newMembers()
	var (
		name    []byte
		time    uint64
		dropped uint32
	)
	err := eachField(message, eventFields, 1<<3, func(w *wire, tag uint64) (err error) {
		switch tag {
		case 9:
			time, err = w.fixed64()
		case 18:
			name, err = w.text()
		case 26:
			err = attributes.readAttribute(w)
		case 32:
			dropped, err = w.uint32()
		}
		return err
	})
	out := attributes.into(newObject()).uint32("droppedAttributesCount", dropped).text("name", name)
	return out.fixed64("timeUnixNano", time).close(), err
}

// readLink reads the flags too, so that nothing malformed hides in them; they are not covered.
func readLink(message []byte) ([]byte, error) {
	attributes := newMembers()
	var (
		traceID, spanID, traceState []byte
		dropped                     uint32
	)
	err := eachField(message, linkFields, 1<<4, func(w *wire, tag uint64) (err error) {
		switch tag {
		case 10:
			traceID, err = w.id(traceIDBytes)
		case 18:
			spanID, err = w.id(spanIDBytes)
		case 26:
			traceState, err = w.text()
		case 34:
			err = attributes.readAttribute(w)
		case 40:
			dropped, err = w.uint32()
		case 53:
			err = w.skipFixed32()
		}
		return err
	})
	out := attributes.into(newObject()).uint32("droppedAttributesCount", dropped).id("spanId", spanID)
	return out.id("traceId", traceID).text("traceState", traceState).close(), err
}

// readStatus returns nil for a status with every field at its default.
func readStatus(message []byte) ([]byte, error) {
	var (
		text []byte
		code uint32
	)
	err := eachField(message, statusFields, 0, func(w *wire, tag uint64) (err error) {
		if tag == 18 {
			text, err = w.text()
		} else {
			code, err = w.enum(lastStatusCode)
		}
		return err
	})
	out := newObject().uint32("code", code).text("message", text)
	if err != nil || out.empty() {
		return nil, err
	}
	return out.close(), nil
}

// text reads a string.
func (w *wire) text() ([]byte, error) {
	content, err := w.bytes()
	if err != nil {
		return nil, err
	}
	return content, checkUTF8(content)
}

// id returns nil for an id that is empty or all zero: it is at its default.
func (w *wire) id(length int) ([]byte, error) {
	id, err := w.bytes()
	if err != nil || len(id) == 0 {
		return nil, err
	}
	if len(id) != length {
		return nil, refused(fmt.Sprintf("is not %d bytes long; give the id as its %d bytes", length, length))
	}
	for _, b := range id {
		if b != 0 {
			return id, nil
		}
	}
	return nil, nil
}
