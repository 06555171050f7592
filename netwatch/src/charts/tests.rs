use super::*;
use crate::figures;

fn chart<'a>(at_ms: &'a [i64], series: &'a [Series<'a>], is_stacked: bool) -> TimeChart<'a> {
    TimeChart {
        id: "packets",
        title: "Packets per second",
        unit: figures::short,
        at_ms,
        series,
        is_stacked,
        axis: Axis::Last(10_000),
        live: Some("packets"),
    }
}

fn series<'a>(name: &'a str, colour: usize, values: &[f64]) -> Series<'a> {
    Series { name, colour, values: values.to_vec() }
}

/// Path data of the line, or the area, of a series.
fn data(markup: &str, kind: &str, name: &str) -> String {
    let start = markup.find(&format!("data-{kind}=\"{name}\" d=\"")).unwrap();
    let rest = &markup[start..];
    rest.split("d=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn is_drawable(markup: &str) {
    assert!(!markup.contains("NaN") && !markup.contains("inf"), "{markup}");
}

#[test]
fn a_line_goes_through_its_points() {
    let at: Vec<i64> = (0..=10).map(|second| 1_000_000 + second * 1_000).collect();
    let all = [series("eth0", 0, &[0.0, 1.0, 2.0, 4.0, 8.0, 8.0, 4.0, 2.0, 1.0, 0.0, 4.0])];
    let text = chart(&at, &all, false).render().into_string();
    assert_eq!(
        data(&text, "line", "eth0"),
        "M0 200l300-25l300-25l300-50l300-100h300l300 100l300 50l300 25l300 25l300-100"
    );
    assert!(
        data(&text, "area", "eth0").ends_with("l300-100l0 100h-3000Z"),
        "{}",
        data(&text, "area", "eth0")
    );
    assert!(text.contains("eth0: 4 at the end, 8 at most."), "{text}");
    assert!(text.contains(">8</text>") && text.contains(">4</text>"), "{text}");
}

#[test]
fn stacks_lie_on_each_other_and_hide_nothing() {
    let at = [0, 5_000, 10_000];
    let all = [
        series("syn", 0, &[1.0, 1.0, 1.0]),
        series("udp_new", 4, &[0.0, 0.0, 1.0]),
        series("fragment", 6, &[0.0; 3]),
    ];
    let text = chart(&at, &all, true).render().into_string();
    assert_eq!(data(&text, "line", "syn"), "M0 100h1500h1500");
    // It has a line only from where it begins.
    assert_eq!(data(&text, "line", "udp_new"), "M1500 100l1500-100");
    assert_eq!(data(&text, "area", "udp_new"), "M0 100h1500l1500-100l0 100h-3000Z");
    assert_eq!(data(&text, "line", "fragment"), "");
    assert!(text.contains("class=\"is-nothing\" data-legend=\"fragment\""), "{text}");
}

#[test]
fn nothing_and_little_are_drawn_too() {
    let text = chart(&[], &[], false).render().into_string();
    assert!(text.contains("Nothing was counted yet.") && text.contains("Nothing to show."), "{text}");
    let one = [series("eth0", 0, &[3.0])];
    let text = chart(&[7_000], &one, false).render().into_string();
    assert_eq!(data(&text, "line", "eth0"), "M3000 50h6");
    assert_eq!(data(&text, "area", "eth0"), "");
    is_drawable(&text);
}

#[test]
fn what_cannot_be_drawn_is_taken_for_nothing() {
    let at = [0, 5_000, 10_000, i64::MAX];
    let all = [
        series("a", 0, &[f64::NAN, f64::INFINITY, -1.0, f64::NEG_INFINITY]),
        series("b", 1, &[f64::MAX, f64::MAX, 1e300, 0.0]),
        series("c", 2, &[f64::MAX]),
    ];
    for is_stacked in [false, true] {
        for axis in [
            Axis::Last(10_000),
            Axis::Last(0),
            Axis::Between(0, 10_000),
            Axis::Between(5, 5),
            Axis::Between(i64::MIN, i64::MAX),
        ] {
            let text = TimeChart { axis, ..chart(&at, &all, is_stacked) }.render().into_string();
            is_drawable(&text);
        }
    }
    for values in [&[][..], &[f64::NAN], &[1.0, f64::INFINITY], &[0.0; 3]] {
        is_drawable(&sparkline(values, "x").into_string());
    }
    is_drawable(&bar(f64::NAN, 0.0).into_string());
    is_drawable(&mix(&[("c0", f64::NAN), ("c1", 3.0)], 0.0).into_string());
}

#[test]
fn no_line_goes_over_what_was_not_measured() {
    let at = [0, 1_000, 2_000, 9_000, 10_000];
    let all = [series("eth0", 0, &[1.0; 5])];
    let text = chart(&at, &all, false).render().into_string();
    assert_eq!(data(&text, "line", "eth0"), "M0 0h300h300M2700 0h300");
}

#[test]
fn marks_are_round() {
    let values: Vec<_> =
        [0.0, 0.3, 1.0, 1.1, 3.0, 5.0, 7.0, 9.0, 10.0, 11.0, 450.0, 61_000.0].map(scale::top).into();
    assert_eq!(values, [1.0, 1.0, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 10.0, 20.0, 600.0, 80_000.0]);
    let texts = |marks: Vec<(f64, String)>| marks.into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    assert_eq!(texts(scale::ago(300_000)), ["−1 min", "−2 min", "−3 min", "−4 min"]);
    let day = 1_795_046_400_000;
    assert_eq!(texts(scale::times(day, day + 86_400_000)), ["04:00", "08:00", "12:00", "16:00", "20:00"]);
    assert_eq!(texts(scale::times(day, day)), [""; 0]);
}

#[test]
fn the_table_is_short() {
    let at: Vec<i64> = (0..900).map(|second| second * 1_000).collect();
    let all = [series("eth0", 0, &(0..900).map(f64::from).collect::<Vec<_>>())];
    let text = TimeChart { axis: Axis::Last(900_000), ..chart(&at, &all, false) }.render().into_string();
    assert_eq!(text.matches("<tr>").count(), 31);
    assert!(text.contains("<td class=\"number\">14</td>"), "the mean of 0 to 29");
}

#[test]
fn names_are_harmless() {
    let all = [series("<b onload=\"x\">", 0, &[1.0]), series("&", 11, &[1.0])];
    let text = chart(&[1], &all, true).render().into_string();
    assert!(!text.contains("<b ") && !text.contains("onload=\"x\""), "{text}");
    assert!(text.contains("line c1"));
}
