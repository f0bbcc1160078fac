package verify

import "github.com/fluo-dev/fluo-kms/clients/go/verify/internal/wire"

// maxMessages is how deep protobuf's own readers let messages nest. An export's outermost one is the first.
const maxMessages = 100

func encodeResourceSpans(value any) ([]byte, error) {
	if value == nil {
		return nil, refused("an item of a list must not be null")
	}
	encoded, err := resourceSpansMessage.encode(value, 2)
	return encoded, within(err, "resource_spans")
}

// encode returns the wire bytes of a message in protobuf's JSON: what is wrong with the bytes then, their one reader
// says. Unknown members are refused: what is not signed must not look signed. Null stands for the default, and counts
// as one that is there.
func (m *message) encode(value any, depth int) (out []byte, err error) {
	object, ok := value.(*jsonObject)
	if !ok {
		return nil, refused("must be an object")
	}
	if depth > maxMessages {
		return nil, refused("is nested too deeply")
	}
	seen := map[*field]bool{}
	hasMember := false
	for _, name := range object.names {
		found, known := m.byName[name]
		if !known {
			return nil, refused("has a member that is unknown and could not be signed; leave it out")
		}
		if seen[found] {
			return nil, within(refused("is there twice, by two names; send it once"), name)
		}
		seen[found] = true
		value := object.values[name]
		if m.isOneof && (value != nil || found.message != nil) {
			if hasMember {
				return nil, within(refused("the value has a second member; it is one of them"), name)
			}
			hasMember = true
		}
		if value == nil {
			continue
		}
		if out, err = found.append(out, value, depth); err != nil {
			return nil, within(err, name)
		}
	}
	return out, nil
}

func (f *field) append(out []byte, value any, depth int) (_ []byte, err error) {
	items := []any{value}
	if f.isRepeated {
		var ok bool
		if items, ok = value.([]any); !ok {
			return nil, refused("must be a list")
		}
	}
	for i, item := range items {
		if item == nil {
			err = refused("an item of a list must not be null")
		} else {
			out, err = f.encode(wire.AppendTag(out, f.number, f.wireType), item, depth)
		}
		if err != nil && f.isRepeated {
			return nil, withinIndex(err, i)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
