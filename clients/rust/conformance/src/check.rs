//! Has the service judge the evidence of each language.

use std::collections::HashMap;
use std::error::Error;

use fluo_kms::KmsChannel;
use fluo_kms::v1::decrypted_field::Result::{Error as Failed, Value};
use fluo_kms::v1::kms_service_client::KmsServiceClient;
use fluo_kms::v1::re_encrypted_field::Result::Token as NewToken;
use fluo_kms::v1::{
    DecryptDataKeyRequest, DecryptPiiRequest, EncryptedField, ReEncryptPiiRequest, ResourceSpans, VerifyReason,
    VerifySpanRequest,
};
use prost::Message;

use crate::report::Report;
use crate::world::{Evidence, Scenario, World, read_json};

/// The value of a field, or the code of its error.
type Opened = Result<Vec<u8>, i32>;

const INVALID_ARGUMENT: i32 = 3;

struct Check<'a> {
    kms: KmsServiceClient<KmsChannel>,
    scenario: &'a Scenario,
    evidence: Evidence,
    report: &'a mut Report,
}

pub async fn run(world: &World, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let scenario = world.scenario()?;
    let expected = world.expected();
    for path in &world.evidence {
        let evidence: Evidence = read_json(path)?;
        let mut check = Check { kms: world.kms()?, scenario: &scenario, evidence, report };
        let [individual, log] = [check.evidence.individual.0.clone(), check.evidence.log.0.clone()];
        check.spans("individual", &individual, &expected.individual).await?;
        check.spans("log", &log, &expected.log).await?;
        check.tokens().await?;
        check.blob().await?;
    }
    Ok(())
}

impl Check<'_> {
    fn what(&self, what: &str) -> String {
        format!("{what} of {}", self.evidence.language)
    }

    async fn spans(&mut self, kind: &str, bytes: &[u8], expected: &str) -> Result<(), Box<dyn Error>> {
        let batch = ResourceSpans::decode(bytes)?;
        for scope_spans in batch.scope_spans {
            for span in scope_spans.spans {
                let mut request = VerifySpanRequest {
                    tenant_id: self.scenario.tenant.clone(),
                    span: Some(span),
                    resource: batch.resource.clone(),
                    scope: scope_spans.scope.clone(),
                    evidence: None,
                };
                let verdict = self.kms.verify_span(request.clone()).await?.into_inner();
                let reason = VerifyReason::try_from(verdict.reason)?.as_str_name();
                let reason = reason.trim_start_matches("VERIFY_REASON_");
                self.report.check(&self.what(&format!("{kind} span")), &reason, &expected);
                if let Some(span) = &mut request.span {
                    span.name.push('!');
                }
                let altered = self.kms.verify_span(request).await?.into_inner();
                self.report.check(&self.what(&format!("altered {kind} span")), &altered.verified, &false);
            }
        }
        Ok(())
    }

    async fn tokens(&mut self) -> Result<(), Box<dyn Error>> {
        let tokens = self.evidence.tokens.iter();
        let fields: Vec<_> =
            tokens.map(|token| EncryptedField { name: token.name.clone(), token: token.token.clone() }).collect();
        let expected: Vec<Opened> = self.scenario.fields.iter().map(|field| Ok(field.value.0.clone())).collect();
        let context = self.evidence.context.clone();

        let opened = self.opened(fields.clone(), context.clone()).await?;
        self.report.check(&self.what("tokens"), &opened, &expected);

        let first = fields.first().ok_or("the evidence has no token")?;
        let other = EncryptedField { name: "other".into(), token: first.token.clone() };
        let opened = self.opened(vec![other], context.clone()).await?;
        self.report.check(&self.what("a token under another name"), &opened, &vec![Err(INVALID_ARGUMENT)]);

        let newer = self.re_encrypted(fields.clone(), context.clone()).await?;
        let opened = self.opened(newer, context).await?;
        self.report.check(&self.what("re-encrypted tokens"), &opened, &expected);

        let refused = vec![Err(INVALID_ARGUMENT); fields.len()];
        let opened = self.opened(fields, HashMap::from([("other".into(), "context".into())])).await?;
        self.report.check(&self.what("tokens in another context"), &opened, &refused);
        Ok(())
    }

    async fn opened(
        &mut self,
        fields: Vec<EncryptedField>,
        encryption_context: HashMap<String, String>,
    ) -> Result<Vec<Opened>, Box<dyn Error>> {
        let tenant_id = self.scenario.tenant.clone();
        let answer = self.kms.decrypt_pii(DecryptPiiRequest { tenant_id, fields, encryption_context }).await?;
        let results = answer.into_inner().fields.into_iter().map(|field| match field.result {
            Some(Value(value)) => Ok(Ok(value)),
            Some(Failed(error)) => Ok(Err(error.code)),
            None => Err("a field has neither a value nor an error".into()),
        });
        results.collect()
    }

    async fn re_encrypted(
        &mut self,
        fields: Vec<EncryptedField>,
        encryption_context: HashMap<String, String>,
    ) -> Result<Vec<EncryptedField>, Box<dyn Error>> {
        let tenant_id = self.scenario.tenant.clone();
        let answer = self.kms.re_encrypt_pii(ReEncryptPiiRequest { tenant_id, fields, encryption_context }).await?;
        let results = answer.into_inner().fields.into_iter().map(|field| match field.result {
            Some(NewToken(token)) => Ok(EncryptedField { name: field.name, token }),
            _ => Err("a token was not re-encrypted".into()),
        });
        results.collect()
    }

    async fn blob(&mut self) -> Result<(), Box<dyn Error>> {
        let request = DecryptDataKeyRequest {
            tenant_id: self.scenario.tenant.clone(),
            ciphertext_blob: self.evidence.blob.0.clone(),
            encryption_context: self.evidence.context.clone(),
        };
        let length = self.kms.decrypt_data_key(request).await?.into_inner().plaintext.len();
        self.report.check(&self.what("length of the data key"), &length, &32);
        Ok(())
    }
}
