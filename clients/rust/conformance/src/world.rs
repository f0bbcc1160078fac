//! What a command is given: the fields of WORLD.json, the scenario, and clients of the service.

use std::collections::HashMap;
use std::error::Error;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fluo_kms::KmsChannel;
use fluo_kms::tonic::transport::Endpoint;
use fluo_kms::v1::ResourceSpans;
use fluo_kms::v1::key_admin_service_client::KeyAdminServiceClient;
use fluo_kms::v1::kms_service_client::KmsServiceClient;
use fluo_kms::v1::log_service_client::LogServiceClient;
use prost::Message;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct World {
    service: String,
    scenario: Option<String>,
    pub out: Option<String>,
    #[serde(default)]
    pub evidence: Vec<String>,
    expect: Option<Reasons>,
    expect_service: Option<Reasons>,
}

/// The reasons that the spans of a piece of evidence have.
#[derive(Clone, Deserialize)]
pub struct Reasons {
    pub individual: String,
    pub log: String,
}

#[derive(Deserialize)]
pub struct Scenario {
    pub tenant: String,
    batch: Base64,
    pub fields: Vec<Field>,
    pub context: HashMap<String, String>,
    pub refused: Refusal,
}

#[derive(Deserialize)]
pub struct Field {
    pub name: String,
    pub value: Base64,
}

#[derive(Deserialize)]
pub struct Refusal {
    pub tenant: String,
    pub code: String,
    pub reason: String,
    pub field: String,
}

/// What `produce` writes, and `check` reads of each language.
#[derive(Deserialize, Serialize)]
pub struct Evidence {
    pub language: String,
    pub individual: Base64,
    pub log: Base64,
    pub tokens: Vec<Token>,
    pub context: HashMap<String, String>,
    pub blob: Base64,
}

#[derive(Deserialize, Serialize)]
pub struct Token {
    pub name: String,
    pub token: String,
}

/// Bytes, in JSON as text.
#[derive(Clone)]
pub struct Base64(pub Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Base64).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl World {
    pub fn read(path: &str) -> Result<Self, Box<dyn Error>> {
        read_json(path)
    }

    pub fn scenario(&self) -> Result<Scenario, Box<dyn Error>> {
        read_json(self.scenario.as_deref().ok_or("WORLD names no scenario")?)
    }

    /// The reasons that the service is to give.
    pub fn expected(&self) -> Reasons {
        let ok = || Reasons { individual: "OK".into(), log: "OK".into() };
        self.expect_service.clone().or_else(|| self.expect.clone()).unwrap_or_else(ok)
    }

    pub fn kms(&self) -> Result<KmsServiceClient<KmsChannel>, Box<dyn Error>> {
        Ok(KmsServiceClient::new(self.channel()?))
    }

    pub fn log(&self) -> Result<LogServiceClient<KmsChannel>, Box<dyn Error>> {
        Ok(LogServiceClient::new(self.channel()?))
    }

    pub fn key_admin(&self) -> Result<KeyAdminServiceClient<KmsChannel>, Box<dyn Error>> {
        Ok(KeyAdminServiceClient::new(self.channel()?))
    }

    fn channel(&self) -> Result<KmsChannel, Box<dyn Error>> {
        Ok(KmsChannel::new(Endpoint::from_shared(format!("http://{}", self.service))?))
    }
}

impl Scenario {
    /// A batch of its own each time.
    pub fn batch(&self) -> Result<ResourceSpans, Box<dyn Error>> {
        Ok(ResourceSpans::decode(self.batch.0.as_slice())?)
    }
}

pub fn read_json<T: DeserializeOwned>(path: &str) -> Result<T, Box<dyn Error>> {
    let text = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("{path}: {error}").into())
}
