package verify

var (
	resourceFields  = fields{10: "attributes", 16: "dropped_attributes_count", 26: "entity_refs"}
	entityRefFields = fields{10: "schema_url", 18: "type", 26: "id_keys", 34: "description_keys"}
	scopeFields     = fields{10: "name", 18: "version", 26: "attributes", 32: "dropped_attributes_count"}
)

// readResource returns the resource as JSON, nil where nothing of it is covered. The dropped count and the
// entity references are read, so that nothing malformed or unknown hides in them, and are not covered.
func readResource(message []byte) ([]byte, error) {
	attributes := newMembers()
	entityRefs := 0
	err := eachField(message, resourceFields, 1<<1|1<<3, func(w *wire, tag uint64) (err error) {
		switch tag {
		case 10:
			err = attributes.readAttribute(w)
		case 16:
			_, err = w.uint32()
		case 26:
			err = withinIndex(checkEntityRef(w), entityRefs)
			entityRefs++
		}
		return err
	})
	return closeUnlessEmpty(attributes.into(newObject()), err)
}

func checkEntityRef(w *wire) error {
	content, err := w.bytes()
	if err != nil {
		return err
	}
	return eachField(content, entityRefFields, 1<<3|1<<4, func(w *wire, _ uint64) error {
		_, err := w.text()
		return err
	})
}

// readScope does the same for an instrumentation scope.
func readScope(message []byte) ([]byte, error) {
	attributes := newMembers()
	var name, version []byte
	err := eachField(message, scopeFields, 1<<3, func(w *wire, tag uint64) (err error) {
		switch tag {
		case 10:
			name, err = w.text()
		case 18:
			version, err = w.text()
		case 26:
			err = attributes.readAttribute(w)
		case 32:
			_, err = w.uint32()
		}
		return err
	})
	return closeUnlessEmpty(attributes.into(newObject()).text("name", name).text("version", version), err)
}

func closeUnlessEmpty(out object, err error) ([]byte, error) {
	if err != nil || out.empty() {
		return nil, err
	}
	return out.close(), nil
}
