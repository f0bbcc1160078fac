package verify

var (
	resourceSpansFields = fields{10: "resource", 18: "scope_spans", 26: "schema_url"}
	scopeSpansFields    = fields{10: "scope", 18: "spans", 26: "schema_url"}
)

// scopeSpans says where the parts of a ScopeSpans message lie. A nil scope is none.
type scopeSpans struct {
	scope []byte
	spans [][]byte
}

// eachSpan calls judge for each span of a ResourceSpans message in order, with the span or why it is refused.
// A first pass over the frame finds where everything lies, since a resource or a scope may come after its
// spans. A fault in the frame is returned before any span, because then nobody can tell how many there were;
// a fault in a resource, a scope or a span touches its spans alone.
func eachSpan(message []byte, judge func(wholeSpan, error)) error {
	resource, scopes, err := readFrame(message)
	if err != nil {
		return within(err, "resource_spans")
	}
	resourceText, resourceErr := readResource(resource)
	for _, each := range scopes {
		scopeText, scopeErr := readScope(each.scope)
		for _, encoded := range each.spans {
			switch {
			case resourceErr != nil:
				judge(wholeSpan{}, within(resourceErr, "resource"))
			case scopeErr != nil:
				judge(wholeSpan{}, within(scopeErr, "scope"))
			default:
				span, err := readSpan(encoded)
				if err != nil {
					judge(wholeSpan{}, within(err, "span"))
					continue
				}
				judge(combine(resourceText, scopeText, span))
			}
		}
	}
	return nil
}

func readFrame(message []byte) (resource []byte, scopes []scopeSpans, err error) {
	err = eachField(message, resourceSpansFields, 1<<2, func(w *wire, tag uint64) (err error) {
		switch tag {
		case 10:
			resource, err = w.bytes()
		case 18:
			var each scopeSpans
			each, err = readScopeSpans(w)
			err = withinIndex(err, len(scopes))
			scopes = append(scopes, each)
		case 26:
			_, err = w.text()
		}
		return err
	})
	return resource, scopes, err
}

func readScopeSpans(w *wire) (found scopeSpans, err error) {
	message, err := w.bytes()
	if err != nil {
		return found, err
	}
	err = eachField(message, scopeSpansFields, 1<<2, func(w *wire, tag uint64) (err error) {
		switch tag {
		case 10:
			found.scope, err = w.bytes()
		case 18:
			var span []byte
			span, err = w.bytes()
			found.spans = append(found.spans, span)
		case 26:
			_, err = w.text()
		}
		return err
	})
	return found, err
}
