//! The account's token is replaced, as the kubelet does every hour.

use std::time::Duration;

use anyhow::Result;
use mtlsnoop_tests::wait;

use crate::port;
use crate::watched::Watched;

/// A client reads the file again after a minute (kube-client `client/auth`, as client-go's `cachingTokenSource`).
const READ_AGAIN: Duration = Duration::from_secs(100);

#[test]
fn a_new_token_is_read_and_what_is_known_stays_known() -> Result<()> {
    let mut watched = Watched::start()?;
    watched.ground.api.rotate_token()?;
    watched.ground.api.break_connections();
    watched.fail()?;
    watched.named_finding()?;
    wait::until_true("watches with the new token", READ_AGAIN, || {
        let metrics = watched.metrics()?;
        let listed = [("kind", "pods"), ("state", "listed")];
        let refused = port::sum(&metrics, "mtlsnoop_kube_requests_total", &[("code", "401")]);
        let announced = watched.ground.api.list("events")?.len();
        let is_listed = port::sum(&metrics, "mtlsnoop_kube_watch_state", &listed) > 0.5;
        Ok(refused > 0.5 && is_listed && announced >= 3)
    })?;
    watched.mend()?;
    watched.resolved()?;
    watched.end().map(drop)
}
