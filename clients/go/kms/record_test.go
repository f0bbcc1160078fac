package kms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fluo-dev/fluo-kms/clients/go/internal/testservice"
	"github.com/fluo-dev/fluo-kms/clients/go/kms"
)

type customer struct {
	ID    string
	Email string  `kms:"email"`
	Alias string  `kms:"alias"`
	Phone *string `kms:"phone"`
	Fax   *string `kms:"fax"`
	Note  []byte  `kms:"note"`
	Scan  []byte  `kms:"scan"`
	plain string
}

func TestARecordIsEncryptedByItsMarks(t *testing.T) {
	client := dial(t, testservice.Start(t).Address)
	ctx := contextOf(t)
	phone := "+49 30 1234"
	record := customer{ID: "7", Email: "ann@example.com", Phone: &phone, Note: []byte{0, 255}, plain: "x"}
	table := map[string]string{"table": "customers"}
	encrypted, err := kms.EncryptRecord(ctx, client, "acme", record, table)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"email": encrypted.Email, "alias": encrypted.Alias, "phone": *encrypted.Phone, "note": string(encrypted.Note)} {
		if !strings.HasPrefix(token, "fk1.") {
			t.Errorf("%s is %q", name, token)
		}
	}
	if encrypted.ID != "7" || encrypted.plain != "x" || encrypted.Fax != nil || encrypted.Scan != nil {
		t.Errorf("%+v", encrypted)
	}
	if phone != "+49 30 1234" || record.Email != "ann@example.com" || record.Note[1] != 255 {
		t.Error("the record itself was changed")
	}
	decrypted, err := kms.DecryptRecord(ctx, client, "acme", encrypted, table)
	if err != nil || decrypted.Email != record.Email || decrypted.Alias != "" || *decrypted.Phone != phone || string(decrypted.Note) != "\x00\xff" {
		t.Errorf("%+v, %v", decrypted, err)
	}

	encrypted.Email, encrypted.Alias = encrypted.Alias, encrypted.Email
	_, err = kms.DecryptRecord(ctx, client, "acme", encrypted, table)
	var failed *kms.RecordError
	if !errors.As(err, &failed) || len(failed.Fields) != 2 || !strings.Contains(err.Error(), "email (InvalidArgument") || !strings.Contains(err.Error(), "alias (InvalidArgument") {
		t.Error(err)
	}
}

func TestAMarkOnAnotherTypeIsAnErrorBeforeAnyCall(t *testing.T) {
	ctx := contextOf(t)
	for what, encrypt := range map[string]func() error{
		"a number": func() error {
			_, err := kms.EncryptRecord(ctx, nil, "acme", struct {
				Age int `kms:"age"`
			}{}, nil)
			return err
		},
		"a nested struct": func() error {
			_, err := kms.DecryptRecord(ctx, nil, "acme", struct {
				Inner customer `kms:"inner"`
			}{}, nil)
			return err
		},
		"an unexported field": func() error {
			_, err := kms.EncryptRecord(ctx, nil, "acme", struct {
				email string `kms:"email"`
			}{email: "x"}, nil)
			return err
		},
		"an empty mark": func() error {
			_, err := kms.EncryptRecord(ctx, nil, "acme", struct {
				Email string `kms:""`
			}{}, nil)
			return err
		},
		"no mark": func() error {
			_, err := kms.EncryptRecord(ctx, nil, "acme", struct{ Email string }{}, nil)
			return err
		},
		"no struct": func() error {
			_, err := kms.EncryptRecord(ctx, nil, "acme", "x", nil)
			return err
		},
	} {
		if encrypt() == nil {
			t.Errorf("%s is taken", what)
		}
	}
}
