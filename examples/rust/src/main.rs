use fluo_kms::KmsChannel;
use fluo_kms::tonic::transport::Endpoint;
use fluo_kms::v1::decrypted_field::Result::Value;
use fluo_kms::v1::kms_service_client::KmsServiceClient;
use fluo_kms::v1::{DecryptPiiRequest, EncryptPiiRequest, PlainField};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut kms = KmsServiceClient::new(KmsChannel::new(Endpoint::from_static("http://localhost:9000")));

    let fields = vec![PlainField { name: "email".into(), value: b"ann@example.com".into() }];
    let encrypt = EncryptPiiRequest { tenant_id: "acme".into(), fields, ..Default::default() };
    let fields = kms.encrypt_pii(encrypt).await?.into_inner().fields;
    println!("{}", fields[0].token);

    let decrypt = DecryptPiiRequest { tenant_id: "acme".into(), fields, ..Default::default() };
    for field in kms.decrypt_pii(decrypt).await?.into_inner().fields {
        match field.result {
            Some(Value(value)) => println!("{}", String::from_utf8(value)?),
            failed => return Err(format!("{}: {failed:?}", field.name).into()),
        }
    }
    Ok(())
}
