package verify

import (
	"slices"
	"strings"

	"github.com/fluo-dev/fluo-kms/clients/go/verify/internal/wire"
)

// message is a message of OTLP: its fields in protobuf, in protobuf's JSON and in the canonical form are one table, so
// that what one form can say the others can.
type message struct {
	// fields are in the order of their JSON names, which is RFC 8785's.
	fields []*field
	// byName has each by its proto name and by its JSON name.
	byName map[string]*field
	// isOneof says that a message has at most one of the fields.
	isOneof bool
}

type field struct {
	number         wire.Number
	name, jsonName string
	kind
	isRepeated bool
	// isLeftOut says that it is read, so that nothing malformed or unknown hides in it, and is not in the canonical form.
	isLeftOut bool
	// at is its place in the message.
	at int
}

// kind is the type of a field.
type kind struct {
	wireType wire.Type
	// encode appends a JSON value, which is not null, as it is on the wire. depth counts the messages around it.
	encode func(out []byte, value any, depth int) ([]byte, error)
	// read returns the canonical form of what is on the wire; nil for an id of zeros, which is at its default. level
	// counts the values of attributes around it.
	read func(from content, level int) ([]byte, error)
	// message is nil for scalars.
	message *message
}

// content is a field's own bytes, or its number where it has a wire type of numbers.
type content struct {
	bytes  []byte
	number uint64
}

const (
	traceIDBytes = 16
	spanIDBytes  = 8
)

// These hold themselves, by way of AnyValue.
var keyValueMessage, anyValueMessage, arrayValueMessage, mapValueMessage = &message{}, &message{isOneof: true}, &message{}, &message{}

func init() {
	keyValueMessage.add(one(1, "key", textKind), one(2, "value", messageKind(anyValueMessage)))
	arrayValueMessage.add(list(1, "values", messageKind(anyValueMessage)))
	mapValueMessage.add(list(1, "values", messageKind(keyValueMessage)))
	arrayKind, mapKind := messageKind(arrayValueMessage), messageKind(mapValueMessage)
	arrayKind.read, mapKind.read = readArray, readMap
	anyValueMessage.add(one(1, "string_value", textKind), one(2, "bool_value", boolKind), one(3, "int_value", int64Kind),
		one(4, "double_value", doubleKind), one(5, "array_value", arrayKind), one(6, "kvlist_value", mapKind),
		one(7, "bytes_value", bytesKind))
}

var (
	statusMessage = messageOf(
		one(2, "message", textKind),
		one(3, "code", enumKind("STATUS_CODE_", "UNSET", "OK", "ERROR")))
	eventMessage = messageOf(
		one(1, "time_unix_nano", fixed64Kind),
		one(2, "name", textKind),
		list(3, "attributes", messageKind(keyValueMessage)),
		one(4, "dropped_attributes_count", uint32Kind))
	linkMessage = messageOf(
		one(1, "trace_id", idKind(traceIDBytes)),
		one(2, "span_id", idKind(spanIDBytes)),
		one(3, "trace_state", textKind),
		list(4, "attributes", messageKind(keyValueMessage)),
		one(5, "dropped_attributes_count", uint32Kind),
		leftOut(one(6, "flags", fixed32Kind)))
	spanMessage = messageOf(
		one(1, "trace_id", idKind(traceIDBytes)),
		one(2, "span_id", idKind(spanIDBytes)),
		one(3, "trace_state", textKind),
		one(4, "parent_span_id", idKind(spanIDBytes)),
		one(5, "name", textKind),
		one(6, "kind", enumKind("SPAN_KIND_", "UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")),
		one(7, "start_time_unix_nano", fixed64Kind),
		one(8, "end_time_unix_nano", fixed64Kind),
		list(9, "attributes", messageKind(keyValueMessage)),
		one(10, "dropped_attributes_count", uint32Kind),
		list(11, "events", messageKind(eventMessage)),
		one(12, "dropped_events_count", uint32Kind),
		list(13, "links", messageKind(linkMessage)),
		one(14, "dropped_links_count", uint32Kind),
		one(15, "status", messageKind(statusMessage)),
		leftOut(one(16, "flags", fixed32Kind)))
	entityRefMessage = messageOf(
		one(1, "schema_url", textKind),
		one(2, "type", textKind),
		list(3, "id_keys", textKind),
		list(4, "description_keys", textKind))
	resourceMessage = messageOf(
		list(1, "attributes", messageKind(keyValueMessage)),
		leftOut(one(2, "dropped_attributes_count", uint32Kind)),
		leftOut(list(3, "entity_refs", messageKind(entityRefMessage))))
	scopeMessage = messageOf(
		one(1, "name", textKind),
		one(2, "version", textKind),
		list(3, "attributes", messageKind(keyValueMessage)),
		leftOut(one(4, "dropped_attributes_count", uint32Kind)))
	scopeSpansMessage = messageOf(
		one(1, "scope", messageKind(scopeMessage)),
		list(2, "spans", messageKind(spanMessage)),
		one(3, "schema_url", textKind))
	resourceSpansMessage = messageOf(
		one(1, "resource", messageKind(resourceMessage)),
		list(2, "scope_spans", messageKind(scopeSpansMessage)),
		one(3, "schema_url", textKind))
)

func one(number wire.Number, name string, of kind) *field {
	words := strings.Split(name, "_")
	for i, word := range words[1:] {
		words[i+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return &field{number: number, name: name, jsonName: strings.Join(words, ""), kind: of}
}

func list(number wire.Number, name string, of kind) *field {
	each := one(number, name, of)
	each.isRepeated = true
	return each
}

func leftOut(of *field) *field {
	of.isLeftOut = true
	return of
}

func messageOf(fields ...*field) *message {
	m := &message{}
	m.add(fields...)
	return m
}

func (m *message) add(fields ...*field) {
	m.fields, m.byName = fields, map[string]*field{}
	slices.SortFunc(fields, func(a, b *field) int { return strings.Compare(a.jsonName, b.jsonName) })
	for i, each := range fields {
		each.at = i
		m.byName[each.name], m.byName[each.jsonName] = each, each
	}
}
