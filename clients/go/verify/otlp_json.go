package verify

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
)

// Protobuf's JSON mapping of OTLP's messages, to wire bytes: what is wrong with the bytes then, their one
// reader says. Unknown members are refused: what is not signed must not look signed.

// encoder writes the value of a field, tag and all. It never gets null.
type encoder func(out []byte, number uint64, value any, depth int) ([]byte, error)

// jsonField is a field of a message.
type jsonField struct {
	number     uint64
	encode     encoder
	isRepeated bool
	// isMember says that it is one of AnyValue's oneof; isMessage, that it is a message.
	isMember, isMessage bool
}

// jsonMessage has each field by its proto name and by its JSON name.
type jsonMessage map[string]*jsonField

// maxMessages is how deep protobuf's own readers let messages nest. An export's outermost one is the first.
const maxMessages = 100

var (
	keyValueJSON   = jsonMessage{}
	arrayValueJSON = jsonMessage{}
	mapValueJSON   = jsonMessage{}
	anyValueJSON   = jsonMessage{}.
			member("string_value", "stringValue", 1, encodeText).
			member("bool_value", "boolValue", 2, encodeBool).
			member("int_value", "intValue", 3, encodeInt64).
			member("double_value", "doubleValue", 4, encodeDouble).
			member("array_value", "arrayValue", 5, message(&arrayValueJSON)).
			member("kvlist_value", "kvlistValue", 6, message(&mapValueJSON)).
			member("bytes_value", "bytesValue", 7, encodeBytes)
	statusJSON = jsonMessage{}.
			field("message", "message", 2, encodeText).
			field("code", "code", 3, enum("STATUS_CODE_", "UNSET", "OK", "ERROR"))
	eventJSON = jsonMessage{}.
			field("time_unix_nano", "timeUnixNano", 1, encodeFixed64).
			field("name", "name", 2, encodeText).
			list("attributes", "attributes", 3, message(&keyValueJSON)).
			field("dropped_attributes_count", "droppedAttributesCount", 4, encodeUint32)
	linkJSON = jsonMessage{}.
			field("trace_id", "traceId", 1, id(traceIDBytes)).
			field("span_id", "spanId", 2, id(spanIDBytes)).
			field("trace_state", "traceState", 3, encodeText).
			list("attributes", "attributes", 4, message(&keyValueJSON)).
			field("dropped_attributes_count", "droppedAttributesCount", 5, encodeUint32).
			field("flags", "flags", 6, encodeFixed32)
	spanJSON = jsonMessage{}.
			field("trace_id", "traceId", 1, id(traceIDBytes)).
			field("span_id", "spanId", 2, id(spanIDBytes)).
			field("trace_state", "traceState", 3, encodeText).
			field("parent_span_id", "parentSpanId", 4, id(spanIDBytes)).
			field("name", "name", 5, encodeText).
			field("kind", "kind", 6, enum("SPAN_KIND_", "UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")).
			field("start_time_unix_nano", "startTimeUnixNano", 7, encodeFixed64).
			field("end_time_unix_nano", "endTimeUnixNano", 8, encodeFixed64).
			list("attributes", "attributes", 9, message(&keyValueJSON)).
			field("dropped_attributes_count", "droppedAttributesCount", 10, encodeUint32).
			list("events", "events", 11, message(&eventJSON)).
			field("dropped_events_count", "droppedEventsCount", 12, encodeUint32).
			list("links", "links", 13, message(&linkJSON)).
			field("dropped_links_count", "droppedLinksCount", 14, encodeUint32).
			field("status", "status", 15, message(&statusJSON)).
			field("flags", "flags", 16, encodeFixed32)
	entityRefJSON = jsonMessage{}.
			field("schema_url", "schemaUrl", 1, encodeText).
			field("type", "type", 2, encodeText).
			list("id_keys", "idKeys", 3, encodeText).
			list("description_keys", "descriptionKeys", 4, encodeText)
	resourceJSON = jsonMessage{}.
			list("attributes", "attributes", 1, message(&keyValueJSON)).
			field("dropped_attributes_count", "droppedAttributesCount", 2, encodeUint32).
			list("entity_refs", "entityRefs", 3, message(&entityRefJSON))
	scopeJSON = jsonMessage{}.
			field("name", "name", 1, encodeText).
			field("version", "version", 2, encodeText).
			list("attributes", "attributes", 3, message(&keyValueJSON)).
			field("dropped_attributes_count", "droppedAttributesCount", 4, encodeUint32)
	scopeSpansJSON = jsonMessage{}.
			field("scope", "scope", 1, message(&scopeJSON)).
			list("spans", "spans", 2, message(&spanJSON)).
			field("schema_url", "schemaUrl", 3, encodeText)
	resourceSpansJSON = jsonMessage{}.
				field("resource", "resource", 1, message(&resourceJSON)).
				list("scope_spans", "scopeSpans", 2, message(&scopeSpansJSON)).
				field("schema_url", "schemaUrl", 3, encodeText)
)

// These hold themselves, by way of AnyValue.
func init() {
	keyValueJSON.field("key", "key", 1, encodeText).field("value", "value", 2, message(&anyValueJSON))
	arrayValueJSON.list("values", "values", 1, message(&anyValueJSON))
	mapValueJSON.list("values", "values", 1, message(&keyValueJSON))
	for _, name := range []string{"array_value", "kvlist_value"} {
		anyValueJSON[name].isMessage = true // by either name: it is one field
	}
}

func (m jsonMessage) field(protoName, jsonName string, number uint64, encode encoder) jsonMessage {
	field := &jsonField{number: number, encode: encode}
	m[protoName], m[jsonName] = field, field
	return m
}

func (m jsonMessage) list(protoName, jsonName string, number uint64, encode encoder) jsonMessage {
	m.field(protoName, jsonName, number, encode)[jsonName].isRepeated = true
	return m
}

func (m jsonMessage) member(protoName, jsonName string, number uint64, encode encoder) jsonMessage {
	m.field(protoName, jsonName, number, encode)[jsonName].isMember = true
	return m
}

func encodeResourceSpans(value any) ([]byte, error) {
	if value == nil {
		return nil, refused("an item of a list must not be null")
	}
	encoded, err := resourceSpansJSON.encode(value, 2)
	return encoded, within(err, "resource_spans")
}

// encode returns the wire bytes of a message. Null stands for the default, and counts as one that is there.
func (m jsonMessage) encode(value any, depth int) (out []byte, err error) {
	object, ok := value.(*jsonObject)
	if !ok {
		return nil, refused("must be an object")
	}
	if depth > maxMessages {
		return nil, refused("is nested too deeply")
	}
	seen := map[*jsonField]bool{}
	hasMember := false
	for _, name := range object.names {
		field, known := m[name]
		if !known {
			return nil, refused("has a member that is unknown and could not be signed; leave it out")
		}
		if seen[field] {
			return nil, within(refused("is there twice, by two names; send it once"), name)
		}
		seen[field] = true
		value := object.values[name]
		if field.isMember && (value != nil || field.isMessage) {
			if hasMember {
				return nil, within(refused("the value has a second member; it is one of them"), name)
			}
			hasMember = true
		}
		if value == nil {
			continue
		}
		if out, err = field.append(out, value, depth); err != nil {
			return nil, within(err, name)
		}
	}
	return out, nil
}

func (f *jsonField) append(out []byte, value any, depth int) ([]byte, error) {
	if !f.isRepeated {
		return f.encode(out, f.number, value, depth)
	}
	items, ok := value.([]any)
	if !ok {
		return nil, refused("must be a list")
	}
	for i, item := range items {
		if item == nil {
			return nil, withinIndex(refused("an item of a list must not be null"), i)
		}
		var err error
		if out, err = f.encode(out, f.number, item, depth); err != nil {
			return nil, withinIndex(err, i)
		}
	}
	return out, nil
}

// message takes a pointer, because messages hold each other.
func message(of *jsonMessage) encoder {
	return func(out []byte, number uint64, value any, depth int) ([]byte, error) {
		encoded, err := of.encode(value, depth+1)
		return appendBytes(out, number, encoded), err
	}
}

func appendTag(out []byte, number, wireType uint64) []byte {
	return binary.AppendUvarint(out, number<<3|wireType)
}

func appendBytes(out []byte, number uint64, content []byte) []byte {
	out = binary.AppendUvarint(appendTag(out, number, 2), uint64(len(content)))
	return append(out, content...)
}

func encodeText(out []byte, number uint64, value any, _ int) ([]byte, error) {
	text, ok := value.(string)
	if !ok {
		return nil, refused("must be a string")
	}
	return appendBytes(out, number, []byte(text)), checkUTF8([]byte(text))
}

func encodeBool(out []byte, number uint64, value any, _ int) ([]byte, error) {
	truth, ok := value.(bool)
	if !ok {
		return nil, refused("must be true or false")
	}
	if truth {
		return append(appendTag(out, number, 0), 1), nil
	}
	return append(appendTag(out, number, 0), 0), nil
}

func encodeBytes(out []byte, number uint64, value any, _ int) ([]byte, error) {
	text, _ := value.(string)
	decoded, ok := jsonBase64(text)
	if _, isText := value.(string); !isText || !ok {
		return nil, refused("must be bytes in base64")
	}
	return appendBytes(out, number, decoded), nil
}

// id takes the id in hex, as OTLP writes it, or in base64, as protobuf's own printers do: they differ in length.
func id(length int) encoder {
	return func(out []byte, number uint64, value any, _ int) ([]byte, error) {
		text, ok := value.(string)
		if !ok {
			return nil, refused("must be an id, in hex or base64")
		}
		decoded, ok := jsonBase64(text)
		if len(text) == 2*length {
			var err error
			decoded, err = hex.DecodeString(text)
			ok = err == nil
		}
		if !ok || len(decoded) != length && text != "" {
			return nil, refused("must be " + strconv.Itoa(length) + " bytes, in hex or base64")
		}
		return appendBytes(out, number, decoded), nil
	}
}

// enum takes the values by number and by name. A number that there is none of is left to the reader of the bytes.
func enum(prefix string, names ...string) encoder {
	numbers := map[string]uint64{}
	for number, name := range names {
		numbers[prefix+name] = uint64(number)
	}
	return func(out []byte, number uint64, value any, _ int) ([]byte, error) {
		if name, ok := value.(string); ok {
			known, ok := numbers[name]
			if !ok {
				return nil, refused("is not a name of the enum's values")
			}
			return binary.AppendUvarint(appendTag(out, number, 0), known), nil
		}
		of, ok := signed(value, 32)
		if !ok {
			return nil, refused("must be a value of the enum")
		}
		return binary.AppendUvarint(appendTag(out, number, 0), uint64(of)), nil
	}
}

func encodeUint32(out []byte, number uint64, value any, _ int) ([]byte, error) {
	of, ok := unsigned(value, math.MaxUint32)
	if !ok {
		return nil, refused("must be a number of 32 bits, without sign")
	}
	return binary.AppendUvarint(appendTag(out, number, 0), of), nil
}

func encodeFixed32(out []byte, number uint64, value any, _ int) ([]byte, error) {
	of, ok := unsigned(value, math.MaxUint32)
	if !ok {
		return nil, refused("must be a number of 32 bits, without sign")
	}
	return binary.LittleEndian.AppendUint32(appendTag(out, number, 5), uint32(of)), nil
}

func encodeInt64(out []byte, number uint64, value any, _ int) ([]byte, error) {
	of, ok := signed(value, 64)
	if !ok {
		return nil, refused("must be an integer of 64 bits")
	}
	return binary.AppendUvarint(appendTag(out, number, 0), uint64(of)), nil
}

func encodeFixed64(out []byte, number uint64, value any, _ int) ([]byte, error) {
	of, ok := unsigned(value, math.MaxUint64)
	if !ok {
		return nil, refused("must be an integer of 64 bits, without sign")
	}
	return binary.LittleEndian.AppendUint64(appendTag(out, number, 1), of), nil
}

func encodeDouble(out []byte, number uint64, value any, _ int) ([]byte, error) {
	token, ok := tokenOf(value)
	of, err := strconv.ParseFloat(token, 64) // which rounds as IEEE 754 does, and refuses what becomes infinite
	switch value {
	case "NaN":
		of = math.NaN()
	case "Infinity":
		of = math.Inf(1)
	case "-Infinity":
		of = math.Inf(-1)
	default:
		if !ok || err != nil {
			return nil, refused("must be a number")
		}
	}
	return binary.LittleEndian.AppendUint64(appendTag(out, number, 1), math.Float64bits(of)), nil
}
