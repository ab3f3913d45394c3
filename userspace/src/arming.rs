//! Wires suspects to the live source: who is suspect is armed for, and disarmed when quiet; must not know what makes a suspect.

use std::time::Duration;

use crate::{
    event::time::Time,
    notice,
    source::kernel::Kernel,
    suspicion::{
        Suspect,
        arming::{Arming, Change},
    },
};

/// Most pods that are watched closely at a time.
const MAX_ARMED: usize = 64;

/// Arms the live source for suspects.
pub struct Armer {
    arming: Arming,
    /// Suspects whose control group was not found: the kernel did not tell it, or it is gone.
    unknown: u64,
}

impl Armer {
    /// Nobody is suspect yet.
    pub fn new(disarm_after: Duration) -> Self {
        Self { arming: Arming::new(MAX_ARMED, disarm_after), unknown: 0 }
    }

    /// Takes the suspects of the last drain, and disarms for whoever was quiet until `now`.
    pub fn apply(&mut self, suspects: &[Suspect], now: Time, kernel: &mut Kernel) {
        for suspect in suspects {
            let Some(group) = kernel.group_of(suspect.cgroup) else {
                self.unknown += 1;
                continue;
            };
            if let Some(change) = self.arming.suspect(&group, suspect.time, suspect.sign) {
                self.change(change, now, kernel);
            }
        }
        for change in self.arming.quiet(now) {
            self.change(change, now, kernel);
        }
    }

    /// Says what could not be watched.
    pub fn finish(&self) {
        if self.unknown > 0 {
            notice::warn(format_args!(
                "{} suspect connections were not watched closely: their control group is not known",
                self.unknown
            ));
        }
        if self.arming.passed_over() > 0 {
            notice::warn(format_args!(
                "{} suspect connections were not watched closely: {MAX_ARMED} pods were watched already",
                self.arming.passed_over()
            ));
        }
    }

    fn change(&mut self, change: Change, now: Time, kernel: &mut Kernel) {
        match change {
            Change::Arm(group) => match kernel.arm(&group) {
                Ok(()) => notice::debug(format_args!("watching {group} closely")),
                Err(error) => {
                    self.arming.failed(&group, now);
                    notice::debug(format_args!("{group} cannot be watched closely: {error}"));
                }
            },
            Change::Disarm(group) => {
                kernel.disarm(&group);
                notice::debug(format_args!("watching {group} no longer: it was quiet"));
            }
        }
    }
}
