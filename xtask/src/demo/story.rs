//! The story of the demo, step by step, each step checked. It knows what must be seen, not how it is found.
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use mtlsnoop_tests::{
    client,
    cluster::Cluster,
    container::Container,
    envoy::{Outbound, Sidecar},
    interrupt::Interrupted,
    pod::Pod,
    process::Output,
    scene::{Scene, SceneSpec},
    server::Backend,
    tracer::Tracer,
};
use serde_json::Value;

use super::{
    finding::{self, CODE},
    screen::Screen,
};

const STEPS: u32 = 7;

/// How late after the app's failure a finding may be.
const PROMPT: Duration = Duration::from_secs(1);

/// How long to wait for something before saying that it did not happen.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells it. The cluster and everything in it is gone afterwards, however it ends.
pub(super) fn tell() -> Result<()> {
    let begun = Instant::now();
    let mut screen = Screen::new(STEPS);
    let scene = SceneSpec::new("redis", 6379).start(Cluster::start_like_the_incident()?)?;
    let traces = [scene.cluster.folder().to_owned(), scene.cluster.cgroup().to_owned()];
    let told = Story { screen: &mut screen, scene }.tell();
    if let Err(error) = told {
        let step = screen.step_now();
        return Err(error.context(format!("step {step} of {STEPS} went wrong")));
    }
    for trace in traces {
        ensure!(!trace.exists(), "{} is still there", trace.display());
    }
    screen.finish(format_args!(
        "The whole story in {:.1} s; nothing is left behind",
        begun.elapsed().as_secs_f64()
    ))
}

struct Story<'a> {
    screen: &'a mut Screen,
    scene: Scene,
}

/// The tracer twice: as a person runs it, whose text is shown, and as a script runs it, whose lines are checked.
struct Tracers {
    text: Tracer,
    json: Tracer,
    shown: usize,
}

impl Story<'_> {
    fn tell(mut self) -> Result<()> {
        let result = self.steps();
        if let Err(error) = &result
            && !error.is::<Interrupted>()
        {
            let kept = self.scene.cluster.keep_files();
            self.screen.say(format_args!("configurations and logs are kept in {}", kept.display()))?;
        }
        result
    }

    fn steps(&mut self) -> Result<()> {
        let incident = self.show_the_cluster()?;
        let mut sidecar = self.scene.client_sidecar(&incident)?;
        let mut tracers = self.start_tracing()?;
        let failed = self.let_the_app_fail(&mut sidecar)?;
        let finding = self.show_the_finding(&mut tracers, failed)?;
        self.apply_the_fix(&finding, &mut sidecar, &incident)?;
        self.let_the_app_work()?;
        self.show_that_it_is_resolved(tracers)
    }

    fn show_the_cluster(&mut self) -> Result<Outbound> {
        self.screen.step("A cluster on this machine: network namespaces as pods, real Envoy, real Redis")?;
        self.scene.serve(Backend::Redis)?;
        let Scene { client, backend, outsider, .. } = &self.scene;
        for pod in [client, backend, outsider] {
            let containers: Vec<_> = pod.containers().iter().map(Container::name).collect();
            let [ipv4, ipv6] = pod.addresses().map(|address| address.to_string());
            self.screen.say(format_args!(
                "pod/{:<30} {ipv4:<10} {ipv6:<18} {}",
                pod.name(),
                containers.join(", ")
            ))?;
        }
        let service = "service/redis";
        self.screen.say(format_args!("{service:<34} None       headless, port 6379 of redis-0"))?;
        self.scene.unconditional_mtls()
    }

    fn start_tracing(&mut self) -> Result<Tracers> {
        self.screen.step("The tracer, on the node")?;
        let file = self.scene.cluster_file()?;
        let record = self.scene.cluster.folder().join("incident.mtlsnoop");
        let file_name = file.to_str().context("a folder whose name is not UTF-8")?;
        let record_name = record.to_str().context("a folder whose name is not UTF-8")?;
        let color = if Screen::is_colored() { "always" } else { "never" };
        self.screen.command("node", "mtlsnoop trace --cluster cluster.json -w incident.mtlsnoop")?;
        let cluster = &self.scene.cluster;
        let text = Tracer::start(
            cluster,
            &["-o", "text", "--color", color, "--cluster", file_name, "-w", record_name],
        )?;
        self.screen.output(&text.stderr())?;
        let json = Tracer::start_json(cluster, &file, &[])?;
        self.screen.say("(and a second one with -o json, whose lines this demo checks)")?;
        Ok(Tracers { text, json, shown: 0 })
    }

    /// Gives the moment when the app knew that it had failed.
    fn let_the_app_fail(&mut self, sidecar: &mut Sidecar) -> Result<Instant> {
        self.screen.step("The incident: it works without a sidecar and fails with one")?;
        let output = self.redis_cli(|scene| &scene.outsider, &["PING"])?;
        ensure!(output.stdout == "PONG\n", "expected PONG without a sidecar, got: {}", said(&output));
        let output = self.redis_cli(|scene| &scene.client, &["SET", "greeting", "hello"])?;
        let failed = Instant::now();
        ensure!(
            !output.stdout.contains("OK"),
            "expected that the app fails behind its sidecar, got: {}",
            said(&output)
        );
        self.screen.say("All that Envoy says about it:")?;
        let line = sidecar.wait_for_log_line("outbound|6379||redis.default.svc.cluster.local", PATIENCE)?;
        self.screen.command(self.scene.client.name(), "tail -1 access.log   # of istio-proxy")?;
        self.screen.output(&line)?;
        ensure!(line.contains(" UF,URX "), "expected UF,URX in Envoy's access log, got: {line}");
        Ok(failed)
    }

    fn show_the_finding(&mut self, tracers: &mut Tracers, failed: Instant) -> Result<Value> {
        self.screen.step("What mtlsnoop has said meanwhile")?;
        let (client, server) = (self.scene.client.name(), self.scene.backend.name());
        let (at, finding) =
            tracers.json.wait_for("a finding about the app's sidecar and redis-0", PATIENCE, |line| {
                finding::is(line, "finding", client, server)
            })?;
        let manifest = finding::manifest(&finding)?;
        let last = manifest.lines().last().unwrap_or_default().trim().to_owned();
        let text =
            tracers.text.wait_for_line("the finding as text", PATIENCE, |line| line.contains(&last))?;
        tracers.show_text(self.screen)?;
        let late = [at, text.at].map(|at| at.saturating_duration_since(failed)).into_iter().max();
        let late = late.unwrap_or_default();
        ensure!(
            late < PROMPT,
            "expected the finding within {PROMPT:?} of the app's failure, got it after {late:?}"
        );
        self.screen.done(format_args!(
            "{CODE}, {}: printed {} ms after the app's first failure",
            finding["confidence"].as_str().unwrap_or_default(),
            late.as_millis()
        ))?;
        Ok(finding)
    }

    fn apply_the_fix(&mut self, finding: &Value, sidecar: &mut Sidecar, incident: &Outbound) -> Result<()> {
        self.screen.step("The fix: what it proposes")?;
        let manifest = finding::manifest(finding)?;
        let host = self.scene.host();
        finding::check_manifest(&manifest, &host)?;
        self.screen.command("laptop", "kubectl apply -f - <<EOF")?;
        self.screen.output(&manifest)?;
        self.screen.output("EOF")?;
        let pid = sidecar.pid();
        // There is no control plane here: this is the cluster that it would send to the sidecar.
        sidecar.replace_clusters(&[incident.disabled()])?;
        ensure!(sidecar.pid() == pid, "Envoy was restarted");
        self.screen.done(format_args!("Envoy has the cluster for {host} as `mode: DISABLE` makes it"))
    }

    fn let_the_app_work(&mut self) -> Result<()> {
        self.screen.step("The app again")?;
        for (command, answer) in [
            (&["PING"][..], "PONG\n"),
            (&["SET", "greeting", "hello"], "OK\n"),
            (&["GET", "greeting"], "hello\n"),
        ] {
            let output = self.redis_cli(|scene| &scene.client, command)?;
            ensure!(output.stdout == answer, "expected {answer:?} after the fix, got: {}", said(&output));
        }
        Ok(())
    }

    fn show_that_it_is_resolved(&mut self, mut tracers: Tracers) -> Result<()> {
        self.screen.step("What mtlsnoop says now")?;
        let (client, server) = (self.scene.client.name(), self.scene.backend.name());
        tracers.json.wait_for("the finding to be resolved", PATIENCE, |line| {
            finding::is(line, "resolved", client, server)
        })?;
        tracers.text.wait_for_line("`resolved` as text", PATIENCE, |line| line.contains("resolved"))?;
        tracers.show_text(self.screen)?;
        let Tracers { text, json, .. } = tracers;
        for tracer in [text, json] {
            let ended = tracer.stop()?;
            ensure!(ended.status.success(), "the tracer ended with {}: {}", ended.status, ended.stderr);
        }
        self.screen.done("resolved")
    }

    fn redis_cli(&mut self, pod: fn(&Scene) -> &Pod, command: &[&str]) -> Result<Output> {
        let address = self.scene.address();
        let pod = pod(&self.scene);
        self.screen.command(
            pod.name(),
            &format!("redis-cli -h {} -p {} {}", address.ip(), address.port(), command.join(" ")),
        )?;
        let output = client::redis(pod.app_container()?, address, command)?;
        self.screen.output(&output.stdout)?;
        self.screen.output(&output.stderr)?;
        Ok(output)
    }
}

impl Tracers {
    /// Shows what the text tracer has written since the last time.
    fn show_text(&mut self, screen: &mut Screen) -> Result<()> {
        let lines = self.text.lines();
        for line in &lines[self.shown..] {
            screen.output(&line.text)?;
        }
        self.shown = lines.len();
        Ok(())
    }
}

fn said(output: &Output) -> String {
    format!("{}{}({})", output.stdout, output.stderr, output.status)
}
