//! One file for each observed thing.

pub(crate) mod classic;
pub(crate) mod connect;
pub(crate) mod ops;
pub(crate) mod payload;
pub(crate) mod reset;
pub(crate) mod sentinel;
pub(crate) mod state;
