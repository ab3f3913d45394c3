//! The programs in this machine's kernel: what they see of real connections, what they keep to themselves, what they leave.
//! It needs root.

#![cfg(test)]

mod ground;
mod remote;
mod watch;

mod accounting;
mod adaptive;
mod capability;
mod connect;
mod connect_at_once;
mod connect_in_vain;
mod doctor;
mod end;
mod first_bytes;
mod hello;
mod leftover;
mod listener;
mod older;
mod own;
mod pause;
mod privacy;
mod sentinel;
mod start;
mod without_types;
