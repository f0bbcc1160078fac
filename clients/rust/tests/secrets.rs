//! Output of `Debug` for messages with secrets.

use fluo_kms::v1::{
    DecryptDataKeyResponse, DecryptedField, GenerateDataKeyResponse, ItemError, PlainField, decrypted_field,
};

const SECRET: &[u8] = &[222, 173, 190, 239];

fn shown() -> [String; 4] {
    [
        format!("{:?}", PlainField { name: "email".into(), value: SECRET.into() }),
        format!("{:?}", DecryptDataKeyResponse { plaintext: SECRET.into(), key_id: "k".into() }),
        format!(
            "{:?}",
            GenerateDataKeyResponse { plaintext: SECRET.into(), ciphertext_blob: vec![7], key_id: "k".into() }
        ),
        format!(
            "{:?}",
            DecryptedField { name: "email".into(), result: Some(decrypted_field::Result::Value(SECRET.into())) }
        ),
    ]
}

#[test]
fn are_their_lengths_alone() {
    for text in shown() {
        assert!(text.contains("[4 bytes]"), "{text}");
        assert!(!text.contains("222"), "{text}");
    }
}

#[test]
fn is_whole_for_what_is_no_secret() {
    let error = ItemError { code: 3, field: "fields[0].token".into(), message: "ciphertext rejected".into() };
    let field = DecryptedField { name: "email".into(), result: Some(decrypted_field::Result::Error(error)) };
    assert!(format!("{field:?}").contains("ciphertext rejected"));
    assert!(shown()[2].contains("ciphertext_blob: [7]"));
}
