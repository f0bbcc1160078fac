package kmstest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmstest"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// trailer keeps the trailer of the last call.
type trailer struct{ metadata.MD }

func newTrailer() *trailer                 { return &trailer{metadata.MD{}} }
func (k *trailer) option() grpc.CallOption { return grpc.Trailer(&k.MD) }

func readVectors(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile("../../../test/vectors/" + path)
	if err == nil {
		err = json.Unmarshal(content, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func fromHex(t *testing.T, text string) []byte {
	t.Helper()
	decoded, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

type sealedVector struct {
	Name     string
	TenantID string `json:"tenant_id"`
	Field    string
	Pairs    [][2]string
	Token    string
	Says     string

	PlaintextSHA256 string `json:"plaintext_sha256"`
	PlaintextBytes  int    `json:"plaintext_bytes"`
	Plaintext       string
	CiphertextBlob  string `json:"ciphertext_blob"`
}

func (v sealedVector) context() map[string]string {
	pairs := map[string]string{}
	for _, pair := range v.Pairs {
		pairs[pair[0]] = pair[1]
	}
	return pairs
}

func (v sealedVector) open(t *testing.T, client *kms.Client) *kmsv1.DecryptedField {
	t.Helper()
	field := v.Field
	if field == "" {
		field = "email"
	}
	tenant := v.TenantID
	if tenant == "" {
		tenant = "acme"
	}
	answer, err := client.DecryptPii(t.Context(), &kmsv1.DecryptPiiRequest{TenantId: tenant, EncryptionContext: v.context(),
		Fields: []*kmsv1.EncryptedField{{Name: field, Token: v.Token}}})
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return answer.GetFields()[0]
}

func TestTokensAndBlobsOfTheVectorsOpen(t *testing.T) {
	client := kmstest.New(t).Client()
	var tokens, blobs []sealedVector
	readVectors(t, "pii/tokens.json", &tokens)
	for _, each := range tokens {
		opened := each.open(t, client)
		digest := sha256.Sum256(opened.GetValue())
		if opened.GetError() != nil || len(opened.GetValue()) != each.PlaintextBytes || hex.EncodeToString(digest[:]) != each.PlaintextSHA256 {
			t.Errorf("%s: %v", each.Name, opened.GetError())
		}
		if _, isValue := opened.GetResult().(*kmsv1.DecryptedField_Value); !isValue {
			t.Errorf("%s: no value", each.Name)
		}
	}
	readVectors(t, "pii/data-key-blobs.json", &blobs)
	for _, each := range blobs {
		key, err := client.DecryptDataKey(t.Context(), &kmsv1.DecryptDataKeyRequest{TenantId: each.TenantID,
			CiphertextBlob: fromHex(t, each.CiphertextBlob), EncryptionContext: each.context()})
		if err != nil || hex.EncodeToString(key.GetPlaintext()) != each.Plaintext {
			t.Errorf("%s: %v", each.Name, err)
		}
	}
	if len(tokens) == 0 || len(blobs) == 0 {
		t.Error("no vectors")
	}
}

func TestTokensThatTheServiceRejectsAreItemErrors(t *testing.T) {
	client := kmstest.New(t).Client()
	for file, says := range map[string]string{"pii/rejected.json": "ciphertext rejected", "pii/reserved.json": ""} {
		var vectors []sealedVector
		readVectors(t, file, &vectors)
		for _, each := range vectors {
			found := each.open(t, client).GetError()
			if codes.Code(found.GetCode()) != codes.InvalidArgument || found.GetField() != "fields[0].token" ||
				!strings.HasPrefix(found.GetMessage(), says+each.Says) || says != "" && found.GetMessage() != says {
				t.Errorf("%s: %v", each.Name, found)
			}
		}
		if len(vectors) == 0 {
			t.Errorf("%s has none", file)
		}
	}
}

// asSent returns a request of these bytes exactly, also of such that no message can have.
func asSent(request []byte) *kmsv1.SignSpanRequest {
	sent := &kmsv1.SignSpanRequest{}
	sent.ProtoReflect().SetUnknown(request)
	return sent
}

func TestSpansOfTheVectorsAreSignedAsTheServiceSignsThem(t *testing.T) {
	var vectors struct {
		SignedAtMs int64
		Spans      []struct{ Name, SignSpanRequest, Statement, Signature string }
	}
	readVectors(t, "span/accepted.json", &vectors)
	client := kmstest.New(t, kmstest.WithClock(func() time.Time { return time.UnixMilli(vectors.SignedAtMs) })).Client()
	for _, each := range vectors.Spans {
		signed, err := client.SignSpan(t.Context(), asSent(fromHex(t, each.SignSpanRequest)))
		if err != nil || string(signed.GetStatement()) != each.Statement || hex.EncodeToString(signed.GetSignature()) != each.Signature {
			t.Errorf("%s: %v, %s", each.Name, err, signed.GetStatement())
		}
	}
	if len(vectors.Spans) == 0 {
		t.Error("no vectors")
	}
}

func TestSpansThatTheServiceRefusesAreRefused(t *testing.T) {
	client := kmstest.New(t).Client()
	var vectors []struct{ Name, Span, Field string }
	readVectors(t, "span/refused.json", &vectors)
	for _, each := range vectors {
		request := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "acme")
		request = protowire.AppendBytes(protowire.AppendTag(request, 2, protowire.BytesType), fromHex(t, each.Span))
		_, err := client.SignSpan(t.Context(), asSent(request))
		fields := kms.DetailsOf(err).Fields
		if status.Code(err) != codes.InvalidArgument || len(fields) != 1 || each.Field != "" && fields[0].Field != each.Field {
			t.Errorf("%s: %v, %v", each.Name, err, fields)
		}
	}
	if len(vectors) == 0 {
		t.Error("no vectors")
	}
}
