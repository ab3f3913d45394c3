//! One file for each observed thing.

pub(crate) mod connect;
pub(crate) mod payload;
pub(crate) mod reset;
pub(crate) mod sentinel;
pub(crate) mod state;
