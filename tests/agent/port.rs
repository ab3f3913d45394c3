//! What the agent serves: probes and metrics; it must not know what they should say.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};

const PATIENCE: Duration = Duration::from_secs(5);

/// Status code and body of a path.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).context("nobody listens at the agent's port")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("the agent did not answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of its headers")?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status code")?;
    Ok((code, body.to_owned()))
}

/// The sum of a metric's series that have these labels.
pub(crate) fn sum(metrics: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let wanted: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    metrics
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
        .filter(|line| wanted.iter().all(|label| line.contains(label.as_str())))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[test]
fn series_are_summed_by_their_labels() {
    let metrics = "# TYPE a counter\na_total{x=\"1\",y=\"2\"} 3\na_total{x=\"1\",y=\"3\"} 4\na_totals 9\n";
    for (labels, expected) in [(&[][..], 7.0), (&[("y", "3")], 4.0), (&[("x", "2")], 0.0)] {
        let sum = sum(metrics, "a_total", labels);
        assert!((sum - expected).abs() < f64::EPSILON, "{labels:?}: {sum}");
    }
}
