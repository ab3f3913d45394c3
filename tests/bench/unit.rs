//! The arithmetic of the benchmark as a test target: tests inside a benchmark without harness would never run.

mod statistic;
mod table;

use crate::{
    statistic::{Estimate, median},
    table::Table,
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
