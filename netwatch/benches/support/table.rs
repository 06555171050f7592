//! Figures: medians, and tables that people read.

/// The middle one of some figures; the upper one of two in the middle, NaN of none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints rows below a heading: the first column to the left, the others to the right, each as wide as it must be.
pub fn print(heading: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..heading.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        for (column, (cell, width)) in cells.zip(&widths).enumerate() {
            if column == 0 {
                print!("{cell:<width$}");
            } else {
                print!("  {cell:>width$}");
            }
        }
        println!();
    };
    line(&mut heading.iter().copied());
    rows.iter().for_each(|row| line(&mut row.iter().map(String::as_str)));
}

/// A count as a figure to compute with.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub const fn float(count: u64) -> f64 {
    count as f64
}

/// Bytes in mebibytes, to one digit.
pub fn mib(bytes: u64) -> String {
    format!("{:.1}", float(bytes) / f64::from(1 << 20))
}

/// One line of progress.
pub fn note(text: &str) {
    eprintln!("    {text}");
}
