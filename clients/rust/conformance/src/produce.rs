//! Signs, encrypts and is refused as the scenario says, and writes the evidence.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fluo_kms::tonic::{Code, Request, Streaming};
use fluo_kms::v1::span_result::Result::{Error as ItemFailed, Signed};
use fluo_kms::v1::{
    EncryptPiiRequest, GenerateDataKeyRequest, GetPublicKeysRequest, ListKeysRequest, PlainField, ResourceSpans,
    SignMode, SignSpanRequest, SignSpansRequest, SignSpansResponse, SignedSpan, StatusRequest,
};
use prost::Message;
use tonic_types::StatusExt;

use crate::report::Report;
use crate::world::{Base64, Evidence, Scenario, Token, World};

pub async fn run(world: &World, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let scenario = world.scenario()?;
    let evidence = Evidence {
        language: "rust".into(),
        individual: Base64(individual(world, &scenario).await?.encode_to_vec()),
        log: Base64(log(world, &scenario, report).await?.encode_to_vec()),
        tokens: tokens(world, &scenario).await?,
        context: scenario.context.clone(),
        blob: blob(world, &scenario).await?,
    };
    refusal(world, &scenario, report).await?;
    deadline(world, report).await?;
    pages(world, &scenario, report).await?;
    let out = world.out.as_deref().ok_or("WORLD names no file to write")?;
    Ok(std::fs::write(out, serde_json::to_vec(&evidence)?)?)
}

async fn individual(world: &World, scenario: &Scenario) -> Result<ResourceSpans, Box<dyn Error>> {
    let mut kms = world.kms()?;
    let mut batch = scenario.batch()?;
    for scope_spans in &mut batch.scope_spans {
        for span in &mut scope_spans.spans {
            let request = SignSpanRequest {
                tenant_id: scenario.tenant.clone(),
                span: Some(span.clone()),
                resource: batch.resource.clone(),
                scope: scope_spans.scope.clone(),
            };
            span.attributes.extend(kms.sign_span(request).await?.into_inner().attributes);
        }
    }
    Ok(batch)
}

async fn log(world: &World, scenario: &Scenario, report: &mut Report) -> Result<ResourceSpans, Box<dyn Error>> {
    let mut batch = scenario.batch()?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let request_id = format!("rust-{}-{}", std::process::id(), since.as_nanos());
    let first = signed(world, scenario, &request_id).await?;
    let second = signed(world, scenario, &request_id).await?;
    let indices = |spans: &[SignedSpan]| spans.iter().map(|span| span.leaf_index).collect::<Vec<_>>();
    report.check("indices of a repeated batch", &indices(&second), &indices(&first));
    report.check("a leaf index each", &first.iter().all(|span| span.leaf_index.is_some()), &true);
    let spans: Vec<_> = batch.scope_spans.iter_mut().flat_map(|scope_spans| &mut scope_spans.spans).collect();
    report.check("results of the batch", &first.len(), &spans.len());
    for (span, signed) in spans.into_iter().zip(first) {
        span.attributes.extend(signed.attributes);
    }
    Ok(batch)
}

/// Signs the batch on a stream of its own.
async fn signed(world: &World, scenario: &Scenario, request_id: &str) -> Result<Vec<SignedSpan>, Box<dyn Error>> {
    let request = SignSpansRequest {
        resource_spans: vec![scenario.batch()?],
        tenant_id: scenario.tenant.clone(),
        mode: SignMode::Log.into(),
        request_id: request_id.into(),
        with_attributes: true,
    };
    let mut answers: Streaming<SignSpansResponse> =
        world.kms()?.sign_spans(tokio_stream::once(request)).await?.into_inner();
    let mut signed = Vec::new();
    while let Some(answer) = answers.message().await? {
        for result in answer.results {
            match result.result {
                Some(Signed(span)) => signed.push(span),
                Some(ItemFailed(error)) => return Err(format!("a span was refused: {}", error.message).into()),
                None => return Err("a result says nothing".into()),
            }
        }
    }
    Ok(signed)
}

async fn tokens(world: &World, scenario: &Scenario) -> Result<Vec<Token>, Box<dyn Error>> {
    let fields = scenario.fields.iter();
    let request = EncryptPiiRequest {
        tenant_id: scenario.tenant.clone(),
        fields: fields.map(|field| PlainField { name: field.name.clone(), value: field.value.0.clone() }).collect(),
        encryption_context: scenario.context.clone(),
    };
    let fields = world.kms()?.encrypt_pii(request).await?.into_inner().fields;
    Ok(fields.into_iter().map(|field| Token { name: field.name, token: field.token }).collect())
}

async fn blob(world: &World, scenario: &Scenario) -> Result<Base64, Box<dyn Error>> {
    let request = GenerateDataKeyRequest {
        tenant_id: scenario.tenant.clone(),
        encryption_context: scenario.context.clone(),
        ..Default::default()
    };
    Ok(Base64(world.kms()?.generate_data_key(request).await?.into_inner().ciphertext_blob))
}

async fn refusal(world: &World, scenario: &Scenario, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let expected = &scenario.refused;
    let request = GenerateDataKeyRequest { tenant_id: expected.tenant.clone(), ..Default::default() };
    let answer = world.kms()?.generate_data_key(request).await;
    let code = match expected.code.as_str() {
        "INVALID_ARGUMENT" => Code::InvalidArgument,
        other => return Err(format!("the scenario expects {other}, which this program does not know").into()),
    };
    if let Some(status) = report.refused("the refusal", answer, code) {
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.clone());
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.clone()).collect();
        report.check("the refusal's reason", &reason, &Some(expected.reason.clone()));
        report.check("the refused field", &fields, &vec![expected.field.clone()]);
    }
    Ok(())
}

async fn deadline(world: &World, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let mut request = Request::new(StatusRequest::default());
    request.set_timeout(Duration::from_micros(1));
    report.refused("a call without time", world.kms()?.status(request).await, Code::DeadlineExceeded);
    Ok(())
}

async fn pages(world: &World, scenario: &Scenario, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let one = listed_keys(world, scenario, 1).await?;
    let all = listed_keys(world, scenario, 100).await?;
    report.check("keys page by page", &one, &all);
    report.check("at least two keys", &(all.len() >= 2), &true);
    let mut one = public_keys(world, scenario, 1).await?;
    let mut all = public_keys(world, scenario, 100).await?;
    one.sort();
    all.sort();
    report.check("public keys page by page", &one, &all);
    Ok(())
}

async fn listed_keys(world: &World, scenario: &Scenario, page_size: u32) -> Result<Vec<String>, Box<dyn Error>> {
    let mut key_admin = world.key_admin()?;
    let mut request = ListKeysRequest { tenant_id: scenario.tenant.clone(), page_size, ..Default::default() };
    let mut ids = Vec::new();
    loop {
        let page = key_admin.list_keys(request.clone()).await?.into_inner();
        ids.extend(page.keys.into_iter().filter_map(|key| key.version).map(|version| version.key_id));
        if page.next_page_token.is_empty() {
            return Ok(ids);
        }
        request.page_token = page.next_page_token;
    }
}

async fn public_keys(world: &World, scenario: &Scenario, page_size: u32) -> Result<Vec<String>, Box<dyn Error>> {
    let mut kms = world.kms()?;
    let mut request = GetPublicKeysRequest { tenant_id: scenario.tenant.clone(), page_size, ..Default::default() };
    let mut ids = Vec::new();
    loop {
        let page = kms.get_public_keys(request.clone()).await?.into_inner();
        ids.extend(page.keys.into_iter().map(|key| key.key_id));
        if page.next_page_token.is_empty() {
            return Ok(ids);
        }
        request.page_token = page.next_page_token;
    }
}
