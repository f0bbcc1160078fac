package kms

import (
	"bytes"
	"context"
	"io"
	"slices"

	"github.com/fluo-dev/fluo-kms/clients/go/internal/sealedfile"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// SealStream encrypts all that it reads from a reader under a fresh data key of the tenant, and writes it to a writer in
// the form of [SealFile]. It closes neither. It needs memory for a chunk of 16 KiB, however much it reads.
//
// encryptionContext holds pairs that are not secret, and must be given again to open; it may be nil. If reading or
// writing fails, or ctx ends, SealStream returns that error, and what it wrote cannot be opened. Only [io.EOF] ends a
// reader: any other error, such as [io.ErrUnexpectedEOF], fails the call. ctx is looked at before each read and
// at the end: close the source as well, if a read may block.
func SealStream(ctx context.Context, client kmsv1.KmsServiceClient, tenant string, from io.Reader, to io.Writer, encryptionContext map[string]string) error {
	key, err := client.GenerateDataKey(ctx, &kmsv1.GenerateDataKeyRequest{TenantId: tenant, EncryptionContext: encryptionContext})
	if err != nil {
		return err
	}
	defer clear(key.GetPlaintext())
	return sealedfile.Seal(to, contextReader{ctx, from}, key.GetPlaintext(), key.GetCiphertextBlob())
}

// OpenStream decrypts what [SealStream] or [SealFile] wrote, and writes it to a writer while it reads. It closes
// neither. What it writes is authentic, but it may be the beginning only: a file that was cut, or whose end was altered,
// shows when all before was written. Everything written is void unless OpenStream returns nil; it returns
// [ErrNotAuthentic] for a file that is not as it was sealed.
func OpenStream(ctx context.Context, client kmsv1.KmsServiceClient, tenant string, from io.Reader, to io.Writer, encryptionContext map[string]string) error {
	from = contextReader{ctx, from}
	blob, err := sealedfile.ReadBlob(from)
	if err != nil {
		return err
	}
	key, err := client.DecryptDataKey(ctx, &kmsv1.DecryptDataKeyRequest{TenantId: tenant, CiphertextBlob: blob, EncryptionContext: encryptionContext})
	if isRejected(err) {
		return ErrNotAuthentic
	}
	if err != nil {
		return err
	}
	defer clear(key.GetPlaintext())
	return sealedfile.Open(to, from, key.GetPlaintext(), blob)
}

// SealBytes encrypts data as [SealStream] does, and returns the sealed form.
func SealBytes(ctx context.Context, client kmsv1.KmsServiceClient, tenant string, data []byte, encryptionContext map[string]string) ([]byte, error) {
	sealed := bytes.NewBuffer(make([]byte, 0, len(data)+sealedfile.Overhead(len(data))))
	if err := SealStream(ctx, client, tenant, bytes.NewReader(data), sealed, encryptionContext); err != nil {
		return nil, err
	}
	return sealed.Bytes(), nil
}

// OpenBytes decrypts what [SealBytes], [SealStream] or [SealFile] made, and returns all of it, or nothing and an error:
// [ErrNotAuthentic] if it is not as it was sealed.
func OpenBytes(ctx context.Context, client kmsv1.KmsServiceClient, tenant string, sealed []byte, encryptionContext map[string]string) ([]byte, error) {
	opened := bytes.NewBuffer(make([]byte, 0, len(sealed)))
	if err := OpenStream(ctx, client, tenant, bytes.NewReader(sealed), opened, encryptionContext); err != nil {
		clear(opened.Bytes())
		return nil, err
	}
	return opened.Bytes(), nil
}

// isRejected says whether the service refused the blob, and not what was said beside it.
func isRejected(err error) bool {
	details := DetailsOf(err)
	return status.Code(err) == codes.InvalidArgument && (details.Reason == "CIPHERTEXT_REJECTED" ||
		slices.ContainsFunc(details.Fields, func(each FieldViolation) bool { return each.Field == "ciphertext_blob" }))
}

// contextReader ends with its context.
type contextReader struct {
	ctx  context.Context
	from io.Reader
}

func (c contextReader) Read(into []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.from.Read(into)
	if ended := c.ctx.Err(); err == io.EOF && ended != nil {
		return n, ended // whoever ends the source with ctx has not given all of it
	}
	return n, err
}
