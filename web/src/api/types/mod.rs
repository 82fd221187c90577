//! What goes over the wire. The store's own types stay inside: these are the promise.

mod audit;
mod incidents;
mod logs;
mod outside;
mod work;

use serde::Serialize;
use utoipa::ToSchema;

pub use self::audit::*;
pub use self::incidents::*;
pub use self::logs::*;
pub use self::outside::*;
pub use self::work::*;

/// Bytes as they are.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "a name for the description of the API")]
pub struct RawBytes(Vec<u8>);

/// An id that was made.
#[derive(Serialize, ToSchema)]
pub struct IdOut {
    pub id: String,
}
