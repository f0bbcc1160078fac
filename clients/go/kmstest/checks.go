package kmstest

import (
	"fmt"
	"regexp"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// The service's limits.
const (
	maxFields       = 1000
	maxNameBytes    = 256
	maxTotalBytes   = 2 << 20
	maxContextPairs = 16
	maxContextBytes = 4096
	maxViolations   = 16
)

var tenantForm = regexp.MustCompile(`\A[a-z0-9][a-z0-9._-]{0,62}\z`)

func checkTenant(tenant string) error {
	switch {
	case tenant == "":
		return invalid(violation("tenant_id", "is required"))
	case !tenantForm.MatchString(tenant):
		return invalid(violation("tenant_id", "must match ^[a-z0-9][a-z0-9._-]{0,62}$: lower-case ASCII, at most 63 characters"))
	}
	return nil
}

func checkContext(pairs map[string]string) error {
	if len(pairs) > maxContextPairs {
		return invalid(violation("encryption_context", fmt.Sprintf("at most %d pairs, not %d", maxContextPairs, len(pairs))))
	}
	length := 0
	for key, value := range pairs {
		length += len(key) + len(value)
	}
	if length > maxContextBytes {
		return invalid(violation("encryption_context", fmt.Sprintf("keys and values are at most %d bytes together", maxContextBytes)))
	}
	return nil
}

func checkNames[Field interface{ GetName() string }](fields []Field) error {
	switch {
	case len(fields) == 0:
		return invalid(violation("fields", "at least one field is required"))
	case len(fields) > maxFields:
		return invalid(violation("fields", fmt.Sprintf("at most %d fields a call, not %d: split the call", maxFields, len(fields))))
	}
	var found []*errdetails.BadRequest_FieldViolation
	for i, field := range fields {
		switch {
		case field.GetName() == "":
			found = append(found, violation(indexed("fields", i, "name"), "is required: the token opens only under the same name"))
		case len(field.GetName()) > maxNameBytes:
			found = append(found, violation(indexed("fields", i, "name"), fmt.Sprintf("at most %d bytes", maxNameBytes)))
		}
	}
	return invalid(found...)
}

func checkValues[Field interface{ GetValue() []byte }](fields []Field) error {
	var found []*errdetails.BadRequest_FieldViolation
	total := 0
	for i, field := range fields {
		total += len(field.GetValue())
		if len(field.GetValue()) > maxValueBytes {
			found = append(found, violation(indexed("fields", i, "value"), fmt.Sprintf("at most %d bytes", maxValueBytes)))
		}
	}
	if len(found) == 0 && total > maxTotalBytes {
		found = append(found, violation("fields", fmt.Sprintf("values are at most %d bytes together: split the call", maxTotalBytes)))
	}
	return invalid(found...)
}

func indexed(list string, at int, name string) string {
	return fmt.Sprintf("%s[%d].%s", list, at, name)
}

func violation(field, description string) *errdetails.BadRequest_FieldViolation {
	return &errdetails.BadRequest_FieldViolation{Field: field, Description: description}
}

// invalid returns INVALID_ARGUMENT with the violations, nil for none.
func invalid(violations ...*errdetails.BadRequest_FieldViolation) error {
	if len(violations) == 0 {
		return nil
	}
	first := violations[0]
	return statusOf("INVALID_ARGUMENT", first.GetField()+": "+first.GetDescription(),
		&errdetails.BadRequest{FieldViolations: violations[:min(len(violations), maxViolations)]})
}
