package kmstest

import (
	"crypto/rand"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc/codes"
)

func (f *Fake) generateDataKey(request *kmsv1.GenerateDataKeyRequest) (*kmsv1.GenerateDataKeyResponse, error) {
	if err := checkTenant(request.GetTenantId()); err != nil {
		return nil, err
	}
	var plaintext []byte
	switch request.GetKeySpec() {
	case kmsv1.KeySpec_KEY_SPEC_UNSPECIFIED, kmsv1.KeySpec_KEY_SPEC_AES_256:
		plaintext = make([]byte, 32)
	case kmsv1.KeySpec_KEY_SPEC_AES_128:
		plaintext = make([]byte, 16)
	default:
		return nil, invalid(violation("key_spec", "is not a known KeySpec"))
	}
	if err := checkContext(request.GetEncryptionContext()); err != nil {
		return nil, err
	}
	rand.Read(plaintext) // never fails
	context := canonicalContext(request.GetTenantId(), "", request.GetEncryptionContext())
	blob, err := seal(dataKeyKind, dataKeyInputKey, context, plaintext)
	if err != nil {
		return nil, err
	}
	if request.GetWithoutPlaintext() {
		plaintext = nil
	}
	return &kmsv1.GenerateDataKeyResponse{Plaintext: plaintext, CiphertextBlob: blob, KeyId: keyID}, nil
}

func (f *Fake) decryptDataKey(request *kmsv1.DecryptDataKeyRequest) (*kmsv1.DecryptDataKeyResponse, error) {
	if err := checkTenant(request.GetTenantId()); err != nil {
		return nil, err
	}
	if err := checkContext(request.GetEncryptionContext()); err != nil {
		return nil, err
	}
	context := canonicalContext(request.GetTenantId(), "", request.GetEncryptionContext())
	plaintext, err := open(dataKeyKind, dataKeyInputKey, context, request.GetCiphertextBlob())
	if err != nil {
		return nil, statusOf("CIPHERTEXT_REJECTED", err.Error())
	}
	return &kmsv1.DecryptDataKeyResponse{Plaintext: plaintext, KeyId: keyID}, nil
}

func (f *Fake) encryptPii(request *kmsv1.EncryptPiiRequest) (*kmsv1.EncryptPiiResponse, error) {
	if err := checkTenant(request.GetTenantId()); err != nil {
		return nil, err
	}
	if err := checkNames(request.GetFields()); err != nil {
		return nil, err
	}
	if err := checkValues(request.GetFields()); err != nil {
		return nil, err
	}
	if err := checkContext(request.GetEncryptionContext()); err != nil {
		return nil, err
	}
	response := &kmsv1.EncryptPiiResponse{KeyId: keyID}
	for _, field := range request.GetFields() {
		context := canonicalContext(request.GetTenantId(), field.GetName(), request.GetEncryptionContext())
		envelope, err := seal(piiKind, piiInputKey, context, field.GetValue())
		if err != nil {
			return nil, err
		}
		response.Fields = append(response.Fields, &kmsv1.EncryptedField{Name: field.GetName(), Token: tokenPrefix + base64url(envelope)})
	}
	return response, nil
}

func (f *Fake) decryptPii(request *kmsv1.DecryptPiiRequest) (*kmsv1.DecryptPiiResponse, error) {
	if err := checkTenant(request.GetTenantId()); err != nil {
		return nil, err
	}
	if err := checkNames(request.GetFields()); err != nil {
		return nil, err
	}
	if err := checkContext(request.GetEncryptionContext()); err != nil {
		return nil, err
	}
	response := &kmsv1.DecryptPiiResponse{}
	for i, field := range request.GetFields() {
		opened := &kmsv1.DecryptedField{Name: field.GetName()}
		envelope, err := decodeToken(field.GetToken())
		var value []byte
		if err == nil {
			context := canonicalContext(request.GetTenantId(), field.GetName(), request.GetEncryptionContext())
			value, err = open(piiKind, piiInputKey, context, envelope)
		}
		if err != nil {
			opened.Result = &kmsv1.DecryptedField_Error{Error: &kmsv1.ItemError{
				Code: int32(codes.InvalidArgument), Field: indexed("fields", i, "token"), Message: err.Error()}}
		} else {
			opened.Result = &kmsv1.DecryptedField_Value{Value: value}
		}
		response.Fields = append(response.Fields, opened)
	}
	return response, nil
}
