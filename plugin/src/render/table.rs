//! Tables as kubectl prints them: upper-case heads, columns parted by three blanks, no lines.

use super::terminal::one_line;

/// Rows under their heads.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    /// So many of the first columns are numbers, whose digits stand under one another.
    numbers: usize,
}

const GAP: usize = 3;

/// The longest that a cell may be, in characters: all rows are as wide as the widest.
const WIDEST: usize = 200;

impl Table {
    /// A table with these heads.
    pub(crate) fn new<const N: usize>(heads: [&str; N]) -> Table {
        Table { rows: vec![heads.map(str::to_owned).to_vec()], numbers: 0 }
    }

    /// The same with its first columns aligned to the right.
    #[must_use]
    pub(crate) fn numbers(self, columns: usize) -> Table {
        Table { numbers: columns, ..self }
    }

    /// Adds a row. A cell that is empty shows as `-`, one of more than [`WIDEST`] characters ends with `…`; control
    /// characters in it are shown, line feeds too.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cell = |cell: String| if cell.is_empty() { "-".to_owned() } else { one_line(&cell, WIDEST) };
        self.rows.push(cells.map(cell).to_vec());
    }

    /// The text, with a line feed after each row and no blanks at its end.
    pub(crate) fn text(&self) -> String {
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let blanks = width - cell.chars().count();
                let (before, after) = if column < self.numbers { (blanks, 0) } else { (0, blanks) };
                line.extend(std::iter::repeat_n(' ', before));
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', after + GAP));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["PID", "MAIN CLASS", "STATE"]);
        table.row(["1".into(), "Größe".into(), "attachable".into()]);
        table.row(["12345".into(), String::new(), String::new()]);
        assert_eq!(
            table.text(),
            "PID     MAIN CLASS   STATE\n1       Größe        attachable\n12345   -            -\n"
        );
    }

    #[test]
    fn numbers_end_under_one_another() {
        let mut table = Table::new(["BYTES", "N", "CLASS"]).numbers(2);
        table.row(["7".into(), "1000".into(), "A".into()]);
        table.row(["123456".into(), "1".into(), "B".into()]);
        assert_eq!(table.text(), " BYTES      N   CLASS\n     7   1000   A\n123456      1   B\n");
    }

    #[test]
    fn a_cell_cannot_break_out_of_its_row() {
        let mut table = Table::new(["NAME"]);
        table.row(["a\nb\x1b[2J\tc".into()]);
        assert_eq!(table.text(), "NAME\na^Jb^[[2J^Ic\n");
    }

    #[test]
    fn one_long_cell_does_not_make_every_row_as_long() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(["x".repeat(1 << 20), "yes".into()]);
        table.row(["\x1b".repeat(150), "no".into()]);
        let text = table.text();
        assert!(text.lines().all(|line| line.chars().count() <= WIDEST + GAP + "STATE".len()), "{} bytes", text.len());
        assert_eq!(text.matches('…').count(), 2);
    }
}
