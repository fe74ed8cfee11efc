//! Processor time of one operation, and memory, over the size of everything.

use std::error::Error;
use std::io;
use std::path::Path;

use plotters::prelude::*;

use super::{FONT, colour, decades, rounded};
use crate::measure::growth::{Row, SERIES};

const NAMES_ROOM: f64 = 8.0;
const PANEL: (u32, u32) = (430, 300);

/// What a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// What one operation takes: figures that end in " us".
    Time,
    /// What is resident: figures that begin with "MB".
    Memory,
}

impl Shown {
    fn caption(self) -> &'static str {
        match self {
            Shown::Time => "microseconds of processor time",
            Shown::Memory => "megabytes of resident memory",
        }
    }

    /// The name of a line, if it belongs to the picture.
    fn line(self, figure: &str) -> Option<&str> {
        match self {
            Shown::Time => figure.strip_suffix(" us"),
            Shown::Memory => figure.strip_prefix("MB").map(str::trim),
        }
    }
}

/// Draws one panel for each series, both axes logarithmic.
///
/// # Errors
/// The machine's.
pub fn growth(rows: &[Row], shown: Shown, svg: &Path) -> io::Result<()> {
    let mut picture = String::new();
    draw(rows, shown, &mut picture).map_err(|error| io::Error::other(error.to_string()))?;
    super::write(svg, &picture)
}

fn draw(rows: &[Row], shown: Shown, picture: &mut String) -> Result<(), Box<dyn Error>> {
    let names: Vec<&str> = SERIES.iter().map(|series| series.name).collect();
    let panels: Vec<(&str, Vec<&Row>)> = names
        .iter()
        .map(|name| (*name, rows.iter().filter(|row| row.series == *name).collect::<Vec<_>>()))
        .filter(|(_, rows)| rows.len() > 1)
        .collect();
    let height = panels.len().div_ceil(2).max(1) as u32;
    let area = SVGBackend::with_string(picture, (2 * PANEL.0, height * PANEL.1)).into_drawing_area();
    area.fill(&WHITE)?;
    for ((name, rows), area) in panels.iter().zip(area.split_evenly((height as usize, 2))) {
        panel(name, rows, shown, &area)?;
    }
    area.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel(name: &str, rows: &[&Row], shown: Shown, area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let lines = lines(rows, shown);
    let times = lines.iter().flat_map(|(_, points)| points.iter().map(|point| point.1));
    // Room for the names above the lines, and for the lowest label.
    let (low, high) = decades(times.clone().chain(times.map(|time| time * NAMES_ROOM)));
    let low = low * 0.98;
    let (first, last) = (rows[0].size as f64, rows[rows.len() - 1].size as f64);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{name}: {}", shown.caption()), (FONT, 14))
        .margin(8)
        .margin_right(24)
        .x_label_area_size(28)
        .y_label_area_size(44)
        .build_cartesian_2d((first..last * 1.001).log_scale(), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|value| rounded(*value))
        .y_label_formatter(&|value| rounded(*value))
        .light_line_style(RGBColor(240, 240, 240))
        .bold_line_style(RGBColor(205, 205, 205))
        .label_style((FONT, 12))
        .draw()?;
    for (number, (figure, points)) in lines.into_iter().enumerate() {
        let paint = colour(number);
        let dots = points.clone();
        chart
            .draw_series(LineSeries::new(points, paint.stroke_width(2)))?
            .label(figure)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], paint.stroke_width(2)));
        chart.draw_series(dots.into_iter().map(|point| Circle::new(point, 3, paint.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(205, 205, 205))
        .label_font((FONT, 12))
        .draw()?;
    Ok(())
}

type Line = (String, Vec<(f64, f64)>);

/// What is shown, each over all sizes.
fn lines(rows: &[&Row], shown: Shown) -> Vec<Line> {
    let Some(first) = rows.first() else { return Vec::new() };
    let shown = first.figures.iter().enumerate().filter_map(|(at, (figure, _))| Some((at, shown.line(figure)?)));
    let points =
        |at: usize| rows.iter().map(move |row| (row.size as f64, row.figures[at].1)).filter(|point| point.1 > 0.0);
    shown.map(|(at, line)| (line.to_owned(), points(at).collect())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_one_picture_and_memory_is_in_the_other() {
        let row = |size| Row {
            series: SERIES[0].name,
            size,
            figures: vec![("subscribe us", 1.5), ("bytes each", 160.0), ("MB full", 20.0), ("MB when removed", 12.0)],
        };
        let rows = [row(1_000), row(10_000)];
        for (shown, names, others) in [
            (Shown::Time, ["subscribe", "processor"], ["full", "removed"]),
            (Shown::Memory, ["full", "removed"], ["subscribe\n", "each"]),
        ] {
            let mut picture = String::new();
            draw(&rows, shown, &mut picture).expect("a picture");
            assert!(names.iter().all(|name| picture.contains(name)), "{shown:?}");
            assert!(!others.iter().any(|name| picture.contains(name)), "{shown:?}");
        }
    }
}
