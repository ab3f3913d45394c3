//! The arithmetic of the benchmark as a test target: tests inside a benchmark without harness would never run.

mod hello;
mod limit;
mod need;
mod proc_text;
mod statistic;
mod table;
mod trend;
mod window;

use std::time::Duration;

use mtlsnoop::tls::client_hello::{self, Reading};

use crate::{
    limit::{Limit, Verdict},
    need::Progress,
    statistic::{Estimate, median, percentile},
    table::Table,
    trend::Sample,
    window::{Window, loss_percent},
};

#[test]
fn the_median_is_in_the_middle() {
    let table: [(&[f64], Option<f64>); 5] = [
        (&[], None),
        (&[3.0], Some(3.0)),
        (&[3.0, 1.0], Some(2.0)),
        (&[9.0, 1.0, 2.0], Some(2.0)),
        (&[-1.0, 4.0, 2.0, 100.0], Some(3.0)),
    ];
    for (values, expected) in table {
        assert_eq!(median(values), expected, "{values:?}");
    }
}

#[test]
fn one_wild_value_changes_neither_the_middle_nor_the_error_much() {
    let mut values: Vec<f64> = (0..21).map(|index| f64::from(index % 3)).collect();
    let tame = Estimate::of(&values).unwrap();
    values[0] = 1e6;
    let wild = Estimate::of(&values).unwrap();
    assert_eq!(tame, wild);
    // The median absolute deviation of 0, 1, 2 over and over is 1.
    assert!((tame.error - 1.2533 * 1.4826 / 21_f64.sqrt()).abs() < 1e-9, "{tame:?}");
}

#[test]
fn four_times_as_many_values_halve_the_error() {
    let few = [1.0, 2.0, 3.0, 4.0];
    let many = few.repeat(4);
    let [few, many] = [&few[..], &many].map(|values| Estimate::of(values).unwrap().error);
    assert!((few / many - 2.0).abs() < 1e-9, "{few} {many}");
}

#[test]
fn names_are_on_the_left_and_numbers_on_the_right() {
    let table = Table {
        heading: ["load", "attached", "loss %"],
        lines: vec![["conn", "nothing", "0.1"].map(str::to_owned), ["rr", "x", "−10.25"].map(str::to_owned)],
    };
    assert_eq!(table.to_string(), "load  attached  loss %\nconn  nothing      0.1\nrr    x         −10.25\n");
}

#[test]
fn a_percentile_is_not_exceeded_by_so_many() {
    let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
    for (percent, expected) in [(50, Some(100.0)), (99, Some(198.0)), (100, Some(200.0))] {
        assert_eq!(percentile(&values, percent), expected, "{percent}");
    }
    assert_eq!(percentile(&[], 99), None);
}

#[test]
fn a_budget_is_kept_unless_the_value_is_beyond_it_by_more_than_its_error() {
    let (most, least) = (Limit::AtMost(3.0, 1.5), Limit::AtLeast(4.0, 10.0));
    for (limit, value, error, expected) in [
        (most, 1.2, 0.2, Verdict::AimReached),
        (most, 1.6, 0.2, Verdict::AimReached),
        (most, 2.0, 0.2, Verdict::Kept),
        (most, 3.1, 0.2, Verdict::Kept),
        (most, 3.3, 0.2, Verdict::Missed),
        (most, 1.0, 3.1, Verdict::Unsure),
        (most, f64::NAN, 0.0, Verdict::NotMeasured),
        (least, 12.0, 0.5, Verdict::AimReached),
        (least, 5.0, 0.5, Verdict::Kept),
        (least, 3.0, 0.5, Verdict::Missed),
        (Limit::AtMost(0.0, 0.0), 0.0, 0.0, Verdict::AimReached),
        (Limit::AtMost(0.0, 0.0), 1.0, 0.0, Verdict::Missed),
    ] {
        let verdict = limit.verdict(Estimate { value, error });
        assert_eq!(verdict, expected, "{value} ±{error} of {limit:?}");
        let is_good = matches!(verdict.name(), "aim reached" | "kept");
        assert_eq!(verdict.is_good(), is_good, "{verdict:?}");
    }
}

#[test]
fn the_ring_is_no_memory_of_the_agent() {
    let smaps = "\
        55eb59afd000-55eb5ad20000 rw-p 00000000 00:00 0                          [heap]\n\
        Size:              18572 kB\nRss:               16144 kB\n\
        7f1426025000-7f1427026000 r--s 00001000 00:10 1038                       anon_inode:bpf-map\n\
        Size:              16388 kB\nRss:               16388 kB\n\
        7f1427026000-7f1427046000 rw-s 00000000 00:10 1039                       anon_inode:[perf_event]\n\
        Rss:                 128 kB\n\
        7f14288ae000-7f1428a04000 r-xp 00026000 fe:00 326279                     /usr/lib/libc.so.6\n\
        Rss:                1032 kB\n";
    assert_eq!(proc_text::rss_without_rings_bytes(smaps), (16144 + 1032) * 1024);
    let status = "Name:\tmtlsnoop\nVmPeak:\t   90000 kB\nVmHWM:\t   61440 kB\nVmRSS:\t   7000 kB\n";
    assert_eq!(proc_text::peak_rss_bytes(status), Some(60 << 20));
    assert_eq!(proc_text::peak_rss_bytes("Name:\tof a process that is over\n"), None);
}

#[test]
fn processor_time_and_sleeps_are_found_among_others() {
    let stat = "usage_usec 13881\nuser_usec 10898\nsystem_usec 2983\n";
    assert_eq!(proc_text::cpu_us(stat), Some(13881));
    let status = "Name:\ttcplife\nvoluntary_ctxt_switches:\t42\nnonvoluntary_ctxt_switches:\t7\n";
    assert_eq!(proc_text::sleeps(status), Some(42));
    assert_eq!(proc_text::cpu_us("nr_periods 0\n"), None);
}

#[test]
fn tools_tell_of_losses_each_in_its_words() {
    for (line, pattern, expected) in [
        ("715 packets dropped by kernel", "# packets dropped by kernel", Some(715)),
        ("0 packets dropped by kernel", "# packets dropped by kernel", Some(0)),
        ("64 packets dropped from lo", "# packets dropped from", Some(64)),
        ("lost 12 events on CPU #0!", "lost # events", Some(12)),
        ("Lost 3 events", "Lost # events", Some(3)),
        ("state curl 12 events 4", "Lost # events", None),
        ("8 packets captured", "# packets dropped by kernel", None),
    ] {
        assert_eq!(proc_text::number_in(line, pattern), expected, "{line}");
    }
}

#[test]
fn the_least_sure_is_measured_next_and_urgent_ones_before_others() {
    let one = |count, error, is_urgent| Progress { count, least: 2, error, aim: 0.5, is_urgent };
    for (name, all, previous, is_time_over, expected) in [
        ("too few", vec![one(2, 9.0, true), one(1, 0.1, false)], None, true, Some(1)),
        ("urgent", vec![one(2, 9.0, false), one(2, 0.6, true)], None, false, Some(1)),
        ("least sure", vec![one(2, 0.6, false), one(2, 0.7, false)], None, false, Some(1)),
        ("not twice", vec![one(2, 0.6, false), one(2, 0.7, false)], Some(1), false, Some(0)),
        ("all sure", vec![one(2, 0.5, true), one(2, 0.1, false)], None, false, None),
        ("time over", vec![one(2, 9.0, true), one(2, 9.0, false)], None, true, None),
    ] {
        assert_eq!(need::next(&all, previous, is_time_over), expected, "{name}");
    }
}

#[test]
fn a_loss_is_what_is_missing_and_an_even_drift_is_none() {
    for (with, without, expected) in
        [(90.0, 100.0, 10.0), (100.0, 100.0, 0.0), (101.0, 100.0, -1.0), (0.0, 7.0, 100.0)]
    {
        assert!((loss_percent(with, without) - expected).abs() < 1e-9, "{with} {without}");
    }
    let (time, cpu) = (Duration::from_millis(20), Duration::from_millis(10));
    let [first, second, third, last] =
        [1000, 1010, 1020, 1030].map(|operations| Window { operations, time, cpu });
    let (with, without) = (first + last, second + third);
    assert!(loss_percent(with.per_s(), without.per_s()).abs() < 1e-9);
    assert!((with.per_s() - 50_750.0).abs() < 1e-6 && (with.per_cpu_s() - 101_500.0).abs() < 1e-6);
}

#[test]
fn a_straight_line_is_found_and_noise_makes_it_unsure() {
    let samples = |of: fn(f64) -> f64| -> Vec<Sample> {
        (0..600).map(f64::from).map(|seconds| Sample { seconds, value: of(seconds) }).collect()
    };
    let even = trend::slope(&samples(|seconds| 7.0 + 3.0 * seconds), 10).unwrap();
    assert!((even.value - 3.0).abs() < 1e-9 && even.error < 1e-9, "{even:?}");
    let still = trend::slope(&samples(|_| 5.0), 10).unwrap();
    assert!(still.value.abs() < 1e-9 && still.error < 1e-9, "{still:?}");
    // A wave as long as a stretch and a half.
    let unsure = trend::slope(&samples(|seconds| (seconds / 14.0).sin()), 10).unwrap();
    assert!(unsure.error > 1e-5 && unsure.value.abs() < 3.0 * unsure.error, "{unsure:?}");
    assert_eq!(trend::slope(&samples(|_| 5.0)[..2], 10), None);
}

#[test]
fn a_hello_to_another_service_is_whole() {
    for host in ["a.b", "store-0007.team-007.svc.cluster.local"] {
        let hello = hello::of_mesh_to(host, 6379).unwrap();
        let Reading::Hello(known) = client_hello::parse(&hello) else { panic!("{host}: {hello:?}") };
        assert_eq!(known.sni.as_deref(), Some(&*format!("outbound_.6379_._.{host}")), "{known:?}");
        assert_eq!(known.alpn, ["istio-peer-exchange".into(), "istio".into()]);
    }
}

#[test]
fn a_device_has_counted_what_it_received() {
    let table = "Inter-|   Receive                            |  Transmit\n \
                 face |bytes    packets errs drop fifo frame compressed multicast|bytes\n    \
                 lo: 1234567    1042    0    0    0     0          0         0  1234567\n  \
                 eth0: 99 1 0 0 0 0 0 0 99\n";
    assert_eq!(proc_text::received_bytes(table, "lo"), Some(1_234_567));
    assert_eq!(proc_text::received_bytes(table, "eth0"), Some(99));
    assert_eq!(proc_text::received_bytes(table, "eth1"), None);
}
