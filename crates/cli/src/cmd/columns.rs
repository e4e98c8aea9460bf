//! Answers in columns.

/// Columns as wide as their widest cell, two spaces apart; the last `numbers` are numbers, and
/// stand to the right.
pub(super) fn columns<const N: usize>(
    head: [&str; N],
    rows: &[[String; N]],
    numbers: usize,
) -> String {
    let head = head.map(str::to_owned);
    let all = || std::iter::once(&head).chain(rows);
    let mut widths = [0; N];
    for row in all() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            let cell = if column + numbers >= N {
                format!("{gap}{cell:>width$}")
            } else {
                format!("{gap}{cell:<width$}")
            };
            line.push_str(&cell);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_to_the_left_and_numbers_to_the_right() {
        let rows = [["a", "1.00", "7", "-"], ["longer", "10.00", "1234", "9"]]
            .map(|row| row.map(str::to_owned));
        assert_eq!(
            columns(["name", "ratio", "n", "m"], &rows, 3),
            "name    ratio     n  m\na        1.00     7  -\nlonger  10.00  1234  9\n"
        );
    }
}
