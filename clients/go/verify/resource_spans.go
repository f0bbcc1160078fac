package verify

// scopeSpans says where the parts of a ScopeSpans message lie. A nil scope is none.
type scopeSpans struct {
	scope []byte
	spans [][]byte
}

// eachSpan calls judge for each span of a ResourceSpans message in order, with the span or why it is refused.
// A first pass over the frame finds where everything lies, since a resource or a scope may come after its
// spans. A fault in the frame is returned before any span, because then nobody can tell how many there were;
// a fault in a resource, a scope or a span touches its spans alone.
func eachSpan(encoded []byte, judge func(wholeSpan, error)) error {
	resource, scopes, err := readFrame(encoded)
	if err != nil {
		return within(err, "resource_spans")
	}
	resourceText, resourceErr := readPart(resource, resourceMessage)
	for _, each := range scopes {
		scopeText, scopeErr := readPart(each.scope, scopeMessage)
		for _, encoded := range each.spans {
			span, err := readSpan(encoded)
			switch {
			case resourceErr != nil:
				judge(wholeSpan{}, within(resourceErr, "resource"))
			case scopeErr != nil:
				judge(wholeSpan{}, within(scopeErr, "scope"))
			case err != nil:
				judge(wholeSpan{}, within(err, "span"))
			default:
				judge(combine(resourceText, scopeText, span), nil)
			}
		}
	}
	return nil
}

func readFrame(encoded []byte) (resource []byte, scopes []scopeSpans, err error) {
	err = resourceSpansMessage.eachField(encoded, func(each *field, value content) error {
		switch each.name {
		case "resource":
			resource = value.bytes
		case "scope_spans":
			found, err := readScopeSpans(value.bytes)
			scopes = append(scopes, found)
			return err
		default:
			return checkUTF8(string(value.bytes))
		}
		return nil
	})
	return resource, scopes, err
}

func readScopeSpans(encoded []byte) (found scopeSpans, err error) {
	err = scopeSpansMessage.eachField(encoded, func(each *field, value content) error {
		switch each.name {
		case "scope":
			found.scope = value.bytes
		case "spans":
			found.spans = append(found.spans, value.bytes)
		default:
			return checkUTF8(string(value.bytes))
		}
		return nil
	})
	return found, err
}
