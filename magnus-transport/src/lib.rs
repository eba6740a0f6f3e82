#![doc = include_str!("../README.md")]

mod error;
mod http_transport;
mod instance_url;
mod options;
mod server_date;
mod transport;

pub use error::{Sent, TransportError, TransportErrorKind};
pub use http_transport::HttpTransport;
pub use instance_url::{InstanceUrl, InstanceUrlError};
pub use options::HttpOptions;
pub use server_date::server_date;
pub use transport::Transport;
