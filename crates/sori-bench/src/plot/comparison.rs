//! Processor time per message of several brokers, scenario by scenario.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::Value;

use super::{FONT, colour, decades, rounded, short};

/// One broker in one phase of one scenario.
#[derive(Debug, Clone, PartialEq)]
struct Bar {
    group: String,
    broker: String,
    cpu_us: f64,
}

/// Draws the JSON of a comparison run: a list of objects, of which `scenario`, `phase`, `broker` and `cpu_us` are used.
/// Who comes first in it is drawn first.
///
/// # Errors
/// The machine's, or a file that is not such a list.
pub fn comparison(json: &Path, svg: &Path) -> io::Result<()> {
    let text = fs::read_to_string(json)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot read {}: {error}", json.display())))?;
    let bars = parse(&text).map_err(|error| io::Error::other(format!("{}: {error}", json.display())))?;
    let mut picture = String::new();
    draw(&bars, &mut picture).map_err(|error| io::Error::other(error.to_string()))?;
    super::write(svg, &picture)
}

fn parse(text: &str) -> Result<Vec<Bar>, String> {
    // Python writes this for what was not measured.
    let text = text.replace(": NaN", ": null").replace(": Infinity", ": null");
    let rows: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let rows = rows.as_array().ok_or("not a list")?;
    let mut bars = Vec::new();
    for row in rows {
        let word = |name: &str| row[name].as_str().map(str::to_owned).ok_or(format!("no {name} in {row}"));
        let (scenario, phase) = (word("scenario")?, word("phase")?);
        let is_only = rows.iter().all(|other| other["scenario"] != row["scenario"] || other["phase"] == row["phase"]);
        let group = if is_only { scenario } else { format!("{scenario} {phase}") };
        if let Some(cpu_us) = row["cpu_us"].as_f64().filter(|cpu_us| *cpu_us > 0.0) {
            bars.push(Bar { group, broker: word("broker")?, cpu_us });
        }
    }
    if bars.is_empty() { Err("nothing was measured".to_owned()) } else { Ok(bars) }
}

/// What occurs, each once, in the order of the file.
fn names(bars: &[Bar], name: impl Fn(&Bar) -> &String) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for bar in bars {
        if !names.contains(name(bar)) {
            names.push(name(bar).clone());
        }
    }
    names
}

const BAR_WIDTH: u32 = 22;
const HEIGHT: u32 = 330;
/// More would be too small to be read on a page.
const GROUPS_PER_ROW: usize = 10;
const TITLE_HEIGHT: u32 = 50;

fn draw(bars: &[Bar], picture: &mut String) -> Result<(), Box<dyn Error>> {
    let (groups, brokers) = (names(bars, |bar| &bar.group), names(bars, |bar| &bar.broker));
    // Rows of the same length, as far as that goes.
    let in_row = groups.len().div_ceil(groups.len().div_ceil(GROUPS_PER_ROW));
    let rows: Vec<&[String]> = groups.chunks(in_row).collect();
    let width = (80 + in_row as u32 * (brokers.len() as u32 + 1) * BAR_WIDTH).max(WIDTH_MIN);
    let area = SVGBackend::with_string(picture, (width, rows.len() as u32 * HEIGHT + TITLE_HEIGHT)).into_drawing_area();
    area.fill(&WHITE)?;
    let (title, below) = area.split_vertically(TITLE_HEIGHT);
    draw_title(&brokers, &title)?;
    for (row, area) in rows.iter().zip(below.split_evenly((rows.len(), 1))) {
        draw_row(row, in_row, &brokers, bars, &area)?;
    }
    area.present()?;
    Ok(())
}

const TITLE: &str = "Processor time of the broker per message, microseconds (logarithmic; less is better)";
const WIDTH_MIN: u32 = 660;

/// What is shown, and who has which colour.
fn draw_title(brokers: &[String], area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Box<dyn Error>> {
    area.draw(&Text::new(TITLE, (LEFT, 10), (FONT, 15).into_font().color(&BLACK)))?;
    let mut at = LEFT;
    for (number, broker) in brokers.iter().enumerate() {
        area.draw(&Rectangle::new([(at, 32), (at + 12, 44)], colour(number).filled()))?;
        area.draw(&Text::new(broker.as_str(), (at + 17, 31), (FONT, 13).into_font().color(&BLACK)))?;
        at += 40 + 8 * broker.len() as i32;
    }
    Ok(())
}

/// Where the axis stands.
const LEFT: i32 = 53;

/// Every row has the same axis and the same width of a group.
fn draw_row(
    groups: &[String],
    in_row: usize,
    brokers: &[String],
    bars: &[Bar],
    area: &DrawingArea<SVGBackend<'_>, Shift>,
) -> Result<(), Box<dyn Error>> {
    let (low, high) = decades(bars.iter().map(|bar| bar.cpu_us));
    let low = low * 0.98;
    // A group is one wide, with a gap of one bar.
    let bar_width = 1.0 / (brokers.len() + 1) as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(45)
        .y_label_area_size(45)
        .build_cartesian_2d(0f64..in_row as f64, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(8)
        .y_label_formatter(&|value| rounded(*value))
        .light_line_style(RGBColor(236, 236, 236))
        .bold_line_style(RGBColor(200, 200, 200))
        .label_style((FONT, 13))
        .draw()?;
    for (number, broker) in brokers.iter().enumerate() {
        let paint = colour(number);
        let place = |bar: &Bar| {
            let group = groups.iter().position(|group| *group == bar.group)?;
            (bar.broker == *broker).then_some((group as f64 + bar_width * (number as f64 + 0.5), bar.cpu_us))
        };
        let placed: Vec<(f64, f64)> = bars.iter().filter_map(place).collect();
        let bar = |&(from, value): &(f64, f64)| {
            Rectangle::new([(from + bar_width * 0.04, low), (from + bar_width * 0.96, value)], paint.filled())
        };
        chart.draw_series(placed.iter().map(bar))?;
        let above = (FONT, 10).into_font().color(&BLACK).pos(Pos::new(HPos::Center, VPos::Bottom));
        chart.draw_series(placed.iter().map(|&(from, value)| {
            EmptyElement::at((from + bar_width / 2.0, value)) + Text::new(short(value), (0, -2), above.clone())
        }))?;
    }
    let below = (FONT, 13).into_font().color(&BLACK).pos(Pos::new(HPos::Center, VPos::Top));
    // Scenario and phase, one below the other.
    let words =
        groups.iter().enumerate().flat_map(|(at, group)| group.split(' ').enumerate().map(move |word| (at, word)));
    chart.draw_series(words.map(|(at, (line, word))| {
        let place = (at as f64 + 0.5, low);
        EmptyElement::at(place) + Text::new(word.to_owned(), (0, 6 + 15 * line as i32), below.clone())
    }))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = r#"[
        {"scenario": "p2p-q0", "phase": "traffic", "broker": "a", "cpu_us": 0.15, "bytes_per_item": NaN, "lost": 0},
        {"scenario": "p2p-q0", "phase": "traffic", "broker": "b", "cpu_us": 1.5, "bytes_per_item": NaN, "lost": 0},
        {"scenario": "offline", "phase": "enqueue", "broker": "a", "cpu_us": 2, "bytes_per_item": 100.0, "lost": 0},
        {"scenario": "offline", "phase": "drain", "broker": "a", "cpu_us": NaN, "bytes_per_item": NaN, "lost": 0}]"#;

    #[test]
    fn a_phase_is_named_where_there_are_several_and_what_was_not_measured_is_left_out() {
        let bars = parse(RUN).expect("a run");
        assert_eq!(names(&bars, |bar| &bar.group), ["p2p-q0", "offline enqueue"]);
        assert_eq!(names(&bars, |bar| &bar.broker), ["a", "b"]);
        assert!(parse("[]").is_err());
        assert!(parse("[{}]").is_err());
    }

    #[test]
    fn the_picture_has_a_bar_for_each_figure() {
        let mut picture = String::new();
        draw(&parse(RUN).expect("a run"), &mut picture).expect("a picture");
        for text in ["0.15", "1.5", "2.0", "p2p-q0", "enqueue"] {
            assert!(picture.contains(&format!("{text}\n")), "{text} stands in it");
        }
    }
}
