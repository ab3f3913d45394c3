//! What others build on, and what must not change unnoticed: layouts, names, the eBPF object, the JSON lines. No root.

#![cfg(test)]

mod golden;
mod layout;
mod name;
mod object;
mod schema;
