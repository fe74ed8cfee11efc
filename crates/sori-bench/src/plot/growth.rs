//! Processor time of one operation over the size of everything.

use std::error::Error;
use std::io;
use std::path::Path;

use plotters::prelude::*;

use super::{FONT, colour, decades, rounded};
use crate::measure::growth::{Row, SERIES};

const NAMES_ROOM: f64 = 8.0;
const PANEL: (u32, u32) = (430, 300);

/// Draws one panel for each series: what one operation takes, both axes logarithmic. Times end in " us".
///
/// # Errors
/// The machine's.
pub fn growth(rows: &[Row], svg: &Path) -> io::Result<()> {
    let mut picture = String::new();
    draw(rows, &mut picture).map_err(|error| io::Error::other(error.to_string()))?;
    super::write(svg, &picture)
}

fn draw(rows: &[Row], picture: &mut String) -> Result<(), Box<dyn Error>> {
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
        panel(name, rows, &area)?;
    }
    area.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel(name: &str, rows: &[&Row], area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let lines = lines(rows);
    let times = lines.iter().flat_map(|(_, points)| points.iter().map(|point| point.1));
    // Room for the names above the lines, and for the lowest label.
    let (low, high) = decades(times.clone().chain(times.map(|time| time * NAMES_ROOM)));
    let low = low * 0.98;
    let (first, last) = (rows[0].size as f64, rows[rows.len() - 1].size as f64);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{name}: microseconds of processor time"), (FONT, 14))
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

/// The times, each over all sizes.
fn lines(rows: &[&Row]) -> Vec<Line> {
    let Some(first) = rows.first() else { return Vec::new() };
    let times = first.figures.iter().enumerate().filter(|(_, (figure, _))| figure.ends_with(" us"));
    let points =
        |at: usize| rows.iter().map(move |row| (row.size as f64, row.figures[at].1)).filter(|point| point.1 > 0.0);
    times.map(|(at, (figure, _))| (figure.trim_end_matches(" us").to_owned(), points(at).collect())).collect()
}
