//! Calls a stand-in that answers by the tenant's name, and holds the channel to what it repeats.

use std::error::Error;
use std::time::{Duration, Instant};

use fluo_kms::KmsChannel;
use fluo_kms::tonic::{Code, Response, Status};
use fluo_kms::v1::kms_service_client::KmsServiceClient;
use fluo_kms::v1::{
    DisableKeyRequest, GetCheckpointRequest, ListKeysRequest, RotateRequest, StatusRequest, StatusResponse,
    ValidateRequest, VerifyAuditRequest,
};
use tonic_types::StatusExt;

use crate::report::Report;
use crate::world::World;

pub async fn run(world: &World, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let mut kms = world.kms()?;
    answered(world, &mut kms, report).await?;
    refused(&mut kms, report).await;
    details(&mut kms, report).await;
    never_repeated(world, &mut kms, report).await
}

async fn status(kms: &mut KmsServiceClient<KmsChannel>, tenant: &str) -> Result<Response<StatusResponse>, Status> {
    kms.status(StatusRequest { tenant_id: tenant.into() }).await
}

async fn answered(
    world: &World,
    kms: &mut KmsServiceClient<KmsChannel>,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let tenant = "unavailable-twice";
    report.answered("Status, unavailable twice", status(kms, tenant).await);
    let request = GetCheckpointRequest { tenant_id: tenant.into(), ..Default::default() };
    report.answered("GetCheckpoint, unavailable twice", world.log()?.get_checkpoint(request).await);
    let request = ListKeysRequest { tenant_id: tenant.into(), ..Default::default() };
    report.answered("ListKeys, unavailable twice", world.key_admin()?.list_keys(request).await);
    let began = Instant::now();
    report.answered("Status, exhausted once", status(kms, "exhausted-once").await);
    let waited = began.elapsed() >= Duration::from_millis(1500);
    report.check("the server's pushback is waited for", &waited, &true);
    Ok(())
}

async fn refused(kms: &mut KmsServiceClient<KmsChannel>, report: &mut Report) {
    report.refused("Status, never again", status(kms, "never").await, Code::Unavailable);
    report.refused("Status, always unavailable", status(kms, "always").await, Code::Unavailable);
    report.refused("Status, invalid", status(kms, "invalid").await, Code::InvalidArgument);
}

async fn details(kms: &mut KmsServiceClient<KmsChannel>, report: &mut Report) {
    let answer = status(kms, "details").await;
    let Some(status) = report.refused("Status, with details", answer, Code::ResourceExhausted) else {
        return;
    };
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str());
    report.check("the reason", &reason, &Some("QUOTA"));
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    let fields: Vec<_> = violations.iter().map(|each| (each.field.as_str(), each.description.as_str())).collect();
    report.check("the fields", &fields, &vec![("a.b", "too many")]);
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    report.check("when to retry", &delay, &Some(Duration::from_millis(7500)));
}

async fn never_repeated(
    world: &World,
    kms: &mut KmsServiceClient<KmsChannel>,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let tenant_id = || "always".to_owned();
    let mut key_admin = world.key_admin()?;
    let request = RotateRequest { tenant_id: tenant_id(), ..Default::default() };
    report.refused("Rotate", kms.rotate(request).await, Code::Unavailable);
    let request = ValidateRequest { tenant_id: tenant_id() };
    report.refused("Validate", kms.validate(request).await, Code::Unavailable);
    report.refused("VerifyAudit", key_admin.verify_audit(VerifyAuditRequest::default()).await, Code::Unavailable);
    let request = DisableKeyRequest { tenant_id: tenant_id(), ..Default::default() };
    report.refused("DisableKey", key_admin.disable_key(request).await, Code::Unavailable);
    Ok(())
}
