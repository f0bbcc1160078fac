//! Messages and clients of `fluo.kms.v1`, made from the protos, whose comments document each symbol.

// The comments of the protos are no Markdown.
#![allow(missing_docs, clippy::pedantic, rustdoc::invalid_html_tags, rustdoc::broken_intra_doc_links)]

use std::fmt;

tonic::include_proto!("fluo.kms.v1");

/// Stands for a secret's bytes in `Debug`.
struct Redacted(usize);

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0)
    }
}

impl fmt::Debug for GenerateDataKeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenerateDataKeyResponse")
            .field("plaintext", &Redacted(self.plaintext.len()))
            .field("ciphertext_blob", &self.ciphertext_blob)
            .field("key_id", &self.key_id)
            .finish()
    }
}

impl fmt::Debug for DecryptDataKeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptDataKeyResponse")
            .field("plaintext", &Redacted(self.plaintext.len()))
            .field("key_id", &self.key_id)
            .finish()
    }
}

impl fmt::Debug for PlainField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainField").field("name", &self.name).field("value", &Redacted(self.value.len())).finish()
    }
}

impl fmt::Debug for DecryptedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptedField").field("name", &self.name).field("result", &self.result).finish()
    }
}

impl fmt::Debug for decrypted_field::Result {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => f.debug_tuple("Value").field(&Redacted(value.len())).finish(),
            Self::Error(error) => f.debug_tuple("Error").field(error).finish(),
        }
    }
}
