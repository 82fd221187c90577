//! A host for measured calls: one grant, no record, a switch that stops them.

use std::sync::Arc;

use fumehood_policy::PluginGrant;
use fumehood_runtime::{CallHost, EffectOutcome, EffectRequest, EffectToken, Failure, KvError, LogLine};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

pub struct Host {
    pub grant: Arc<PluginGrant>,
    pub stop: CancellationToken,
}

fn no() -> Failure {
    Failure::new("denied", "not measured")
}

#[async_trait::async_trait]
impl CallHost for Host {
    fn grant(&self) -> Arc<PluginGrant> {
        Arc::clone(&self.grant)
    }
    fn cancellation(&self) -> CancellationToken {
        self.stop.clone()
    }
    async fn credential(&self, _: &str, _: &str) -> Result<SecretString, Failure> {
        Err(no())
    }
    async fn before(&self, _: EffectRequest<'_>) -> Result<EffectToken, Failure> {
        Ok(EffectToken(0, 0))
    }
    fn after(&self, _: EffectToken, _: EffectOutcome) {}
    async fn kv_get(&self, _: &str) -> Result<Option<Vec<u8>>, KvError> {
        Err(no())
    }
    async fn kv_set(&self, _: &str, _: Vec<u8>) -> Result<(), KvError> {
        Err(no())
    }
    async fn kv_delete(&self, _: &str) -> Result<(), KvError> {
        Err(no())
    }
    fn log(&self, _: Vec<LogLine>, _: u64) {}
}
