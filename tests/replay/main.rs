//! The core on stories: each folder in `scenarios/` holds one, as events in and lines out, and needs no privileges.
#![cfg(test)]

mod capture;
mod changes;
mod properties;
mod scenarios;
mod story;
