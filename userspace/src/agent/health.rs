//! Reads off how the agent is; must not know how it is exported.

use crate::{
    engine::Settings,
    event::{loss::Loss, time::Time},
    session::Session,
    sink::{
        Accounting,
        metrics::health::{Health, HookState, ProgramRuns},
    },
    source::kernel::Kernel,
};

/// Of what goes through the session and what is in the kernel; the rest is its caller's.
pub(super) fn read(session: &Session, kernel: &mut Kernel, time: Time) -> Health {
    let Accounting { seen, reported, filtered, lost, .. } = session.pipeline().summary().into();
    let count_of = |loss: Loss| lost.iter().find(|(name, _)| *name == loss).map_or(0, |(_, count)| *count);
    let programs = kernel.runs().into_iter().map(|ran| ProgramRuns {
        program: ran.program,
        run_seconds: ran.time.as_secs_f64(),
        runs: ran.count,
    });
    let hooks =
        kernel.coverage().iter().map(|hook| HookState { hook: hook.name, program: hook.program }).collect();
    Health {
        time,
        events: session.events().collect(),
        seen,
        reported,
        filtered,
        lost: Loss::ALL.map(|loss| (loss.name(), count_of(loss))).into(),
        flows_open: session.pipeline().open() as u64,
        flows_max: Settings::default().max_flows as u64,
        armed_pods: kernel.armed() as u64,
        programs: programs.collect(),
        hooks,
        ring_fill: kernel.take_ring_fill(),
        map_fill: kernel.map_fill(|socket| session.pipeline().awaits_answer(socket)).into(),
        clock_step_seconds: seconds(kernel.calendar_step_ns()),
        ..Health::default()
    }
}

fn seconds(ns: i64) -> f64 {
    let seconds = std::time::Duration::from_nanos(ns.unsigned_abs()).as_secs_f64();
    if ns < 0 { -seconds } else { seconds }
}
