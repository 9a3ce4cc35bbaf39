//! Tables, times and sizes for a person; colours on a terminal only.

use crate::system::protocol::JobStatus;
use std::io::IsTerminal;

/// Whether standard output takes colours.
pub fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}

/// A text, and its colour on a terminal.
pub struct Cell {
    text: String,
    colour: Option<u8>,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell { text: text.into(), colour: None }
    }
}

impl Cell {
    /// A status in small letters, in the colour of what it means.
    pub fn status(status: JobStatus) -> Self {
        let colour = match status {
            JobStatus::Running | JobStatus::Finished => 32,
            JobStatus::Failing | JobStatus::Failed => 31,
            JobStatus::Created
            | JobStatus::Restarting
            | JobStatus::Cancelling
            | JobStatus::Canceled
            | JobStatus::Suspended => 33,
        };
        Cell { text: status.name().to_lowercase(), colour: Some(colour) }
    }

    /// As it is printed.
    pub fn shown(&self, colours: bool) -> String {
        match self.colour {
            Some(colour) if colours => format!("\x1b[{colour}m{}\x1b[0m", self.text),
            _ => self.text.clone(),
        }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// How long something lasts, in the largest unit of which it is at least two.
pub fn time(ms: u64) -> String {
    const SECOND: u64 = 1000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match ms {
        0..SECOND => format!("{ms} ms"),
        SECOND..10_000 => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        10_000..120_000 => format!("{} s", ms / SECOND),
        120_000..7_200_000 => format!("{} min", ms / MINUTE),
        7_200_000..172_800_000 => format!("{} h", ms / HOUR),
        _ => format!("{} days", ms / DAY),
    }
}

/// So many bytes.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// Lines whose columns stand below each other.
pub fn aligned(rows: &[Vec<Cell>], colours: bool) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column| rows.iter().filter_map(|row| row.get(column)).map(Cell::width).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<Cell>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| cell.shown(colours) + &" ".repeat(width - cell.width()))
            .collect();
        cells.join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_a_unit_that_fits() {
        let told = [999, 1_000, 9_949, 12_000, 119_999, 120_000, 7_200_000, 172_800_000].map(time);
        assert_eq!(told, ["999 ms", "1.0 s", "9.9 s", "12 s", "119 s", "2 min", "2 h", "2 days"]);
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["ID", "NAME", "x"], ["1", "a long one", ""]];
        let rows = rows.map(|row| row.map(Cell::from).into());
        assert_eq!(aligned(&rows, true), ["ID  NAME        x", "1   a long one"]);
    }

    #[test]
    fn a_status_has_its_colour_on_a_terminal_alone_and_the_same_place() {
        let rows = [vec![Cell::status(JobStatus::Failed), "x".into()], vec!["finished".into()]];
        assert_eq!(aligned(&rows, false), ["failed    x", "finished"]);
        assert_eq!(aligned(&rows, true), ["\x1b[31mfailed\x1b[0m    x", "finished"]);
    }
}
