//! Columns as wide as what stands in them.

use core::fmt::{self, Display, Formatter};

/// On which side a column is straight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table with a line of headings. Of its last column nothing is padded.
#[derive(Clone, Debug)]
pub(super) struct Table<const N: usize> {
    aligns: [Align; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table without rows.
    pub(super) fn new(columns: [(&str, Align); N]) -> Self {
        Self { aligns: columns.map(|(_, align)| align), rows: vec![columns.map(|(name, _)| name.to_owned())] }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }
}

impl<const N: usize> Display for Table<N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, align), width) in row.iter().zip(self.aligns).zip(widths) {
                let padding = " ".repeat(width - cell.chars().count());
                line.push_str("  ");
                match align {
                    Align::Left => line.extend([cell.as_str(), &padding]),
                    Align::Right => line.extend([padding.as_str(), cell]),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_straight_whatever_is_in_them() {
        let mut table = Table::new([("source", Align::Left), ("packets", Align::Right), ("", Align::Left)]);
        table.row(["192.0.2.1".into(), "7".into(), String::new()]);
        table.row(["2001:db8:1111:2222:3333:4444:5555:6666/127".into(), "1234567890".into(), "→".into()]);
        let expect = "
  source                                         packets
  192.0.2.1                                            7
  2001:db8:1111:2222:3333:4444:5555:6666/127  1234567890  →
";
        assert_eq!(format!("\n{table}"), expect);
    }
}
