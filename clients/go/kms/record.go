package kms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc/codes"
)

// EncryptRecord returns a copy of a struct with tokens in the place of the values of its marked fields, by one
// EncryptPii. A mark is a tag with the field's name, under which alone the token opens:
//
//	type Customer struct {
//		ID    string
//		Email string  `kms:"email"`
//		Phone *string `kms:"phone"`
//		Scan  []byte  `kms:"scan"`
//	}
//
// Marks are for strings, pointers to strings, and byte slices; one on another type is an error. A string then holds
// the token's text, a byte slice its ASCII bytes. Nil stays nil; an empty string is encrypted. Fields without a
// mark are as they were, and so are nested structs. encryptionContext holds pairs that are not secret, and must
// be given again to decrypt; it may be nil.
func EncryptRecord[T any](ctx context.Context, client kmsv1.KmsServiceClient, tenant string, record T, encryptionContext map[string]string) (T, error) {
	copied := record
	fields, err := markedFields(&copied)
	if err != nil || len(fields) == 0 {
		return record, err
	}
	request := &kmsv1.EncryptPiiRequest{TenantId: tenant, EncryptionContext: encryptionContext}
	for _, field := range fields {
		request.Fields = append(request.Fields, &kmsv1.PlainField{Name: field.mark, Value: field.bytes()})
	}
	answer, err := client.EncryptPii(ctx, request)
	if err != nil {
		return record, err
	}
	if len(answer.GetFields()) != len(fields) {
		return record, errOtherFields
	}
	for i, field := range fields {
		field.set([]byte(answer.GetFields()[i].GetToken()))
	}
	return copied, nil
}

// DecryptRecord is the reverse of [EncryptRecord], by one DecryptPii. If a field does not open it returns a
// [*RecordError], which names every one that does not.
func DecryptRecord[T any](ctx context.Context, client kmsv1.KmsServiceClient, tenant string, record T, encryptionContext map[string]string) (T, error) {
	copied := record
	fields, err := markedFields(&copied)
	if err != nil || len(fields) == 0 {
		return record, err
	}
	request := &kmsv1.DecryptPiiRequest{TenantId: tenant, EncryptionContext: encryptionContext}
	for _, field := range fields {
		request.Fields = append(request.Fields, &kmsv1.EncryptedField{Name: field.mark, Token: string(field.bytes())})
	}
	answer, err := client.DecryptPii(ctx, request)
	if err != nil {
		return record, err
	}
	if len(answer.GetFields()) != len(fields) {
		return record, errOtherFields
	}
	var failed RecordError
	for i, field := range fields {
		opened := answer.GetFields()[i]
		if reason := opened.GetError(); reason != nil {
			failed.Fields = append(failed.Fields, RecordFieldError{field.mark, codes.Code(reason.GetCode()), reason.GetMessage()})
			continue
		}
		field.set(opened.GetValue())
		clear(opened.GetValue())
	}
	if len(failed.Fields) > 0 {
		return record, &failed
	}
	return copied, nil
}

var errOtherFields = errors.New("kms: the service answered other fields than it was sent; look at its version")

// RecordError says which fields of a record were not decrypted.
type RecordError struct {
	// Fields has at least one.
	Fields []RecordFieldError
}

// RecordFieldError says why one field was not decrypted.
type RecordFieldError struct {
	// Name is the field's mark.
	Name string
	// Code is INVALID_ARGUMENT for a token that is not authentic.
	Code codes.Code
	// Message says why, without the value.
	Message string
}

// Error names every field with its code.
func (e *RecordError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, field := range e.Fields {
		parts[i] = fmt.Sprintf("%s (%s: %s)", field.Name, field.Code, field.Message)
	}
	return "kms: fields of the record were not decrypted: " + strings.Join(parts, ", ")
}

// markedField is a field of a record that is marked and has a value.
type markedField struct {
	mark  string
	value reflect.Value
}

// markedFields returns those fields of the record that have a mark and a value. Setting them changes the record.
func markedFields(record any) (fields []markedField, err error) {
	whole := reflect.ValueOf(record).Elem()
	if whole.Kind() != reflect.Struct {
		return nil, fmt.Errorf("kms: a record is a struct, not a %s", whole.Type())
	}
	marks := 0
	for i := range whole.NumField() {
		declared := whole.Type().Field(i)
		mark, ok := declared.Tag.Lookup("kms")
		if !ok {
			continue
		}
		marks++
		field, err := markedFieldOf(declared, mark, whole.Field(i))
		if err != nil {
			return nil, err
		}
		if field != nil {
			fields = append(fields, *field)
		}
	}
	if marks == 0 {
		return nil, fmt.Errorf(`kms: %s has no field with a mark such as kms:"email"`, whole.Type())
	}
	return fields, nil
}

var bytesType = reflect.TypeFor[[]byte]()

// markedFieldOf returns nil for a field without a value.
func markedFieldOf(declared reflect.StructField, mark string, value reflect.Value) (*markedField, error) {
	switch isText := declared.Type.Kind() == reflect.String; {
	case !declared.IsExported():
		return nil, fmt.Errorf("kms: field %s has a mark, but is not exported", declared.Name)
	case mark == "":
		return nil, fmt.Errorf(`kms: the mark of field %s is empty; name it, as in kms:"email"`, declared.Name)
	case isText:
		return &markedField{mark, value}, nil
	case declared.Type.Kind() == reflect.Pointer && declared.Type.Elem().Kind() == reflect.String,
		declared.Type.ConvertibleTo(bytesType):
		if value.IsNil() {
			return nil, nil
		}
		return &markedField{mark, value}, nil
	}
	return nil, fmt.Errorf("kms: field %s has a mark, but is a %s; marks are for string, *string and []byte", declared.Name, declared.Type)
}

func (f markedField) bytes() []byte {
	switch f.value.Kind() {
	case reflect.String:
		return []byte(f.value.String())
	case reflect.Pointer:
		return []byte(f.value.Elem().String())
	default:
		return bytes.Clone(f.value.Bytes())
	}
}

// set puts a new value in place: what pointers and slices of the original point to stays as it is.
func (f markedField) set(value []byte) {
	switch f.value.Kind() {
	case reflect.String:
		f.value.SetString(string(value))
	case reflect.Pointer:
		text := reflect.New(f.value.Type().Elem())
		text.Elem().SetString(string(value))
		f.value.Set(text)
	default:
		f.value.Set(reflect.ValueOf(bytes.Clone(value)).Convert(f.value.Type()))
	}
}
