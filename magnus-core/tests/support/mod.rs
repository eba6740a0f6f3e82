//! A toy tool and a bench around the engine: no network, no database.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod bench;
pub(crate) mod toy;
