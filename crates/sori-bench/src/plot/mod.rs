//! Pictures of figures, as SVG.

mod comparison;
mod growth;

use std::fs;
use std::io;
use std::path::Path;

use plotters::style::RGBColor;

pub use comparison::comparison;
pub use growth::{Shown, growth};

/// Colours that can be told apart by those who see no red or no green, and in grey (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(120, 120, 120),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
];

const FONT: &str = "sans-serif";

fn colour(number: usize) -> RGBColor {
    COLOURS[number % COLOURS.len()]
}

/// "0.15", "2.5", "31": two digits that say something.
fn short(value: f64) -> String {
    match value {
        _ if value >= 10.0 => format!("{value:.0}"),
        _ if value >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// "16", "4 k", "1 M".
fn rounded(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{:.0} M", value / 1e6),
        _ if value >= 1e3 => format!("{:.0} k", value / 1e3),
        _ if value >= 1.0 => format!("{value:.0}"),
        _ => format!("{value}"),
    }
}

/// The next power of ten below and above.
fn decades(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let most = values.fold(f64::NEG_INFINITY, f64::max);
    (10f64.powf(least.log10().floor()), 10f64.powf(most.log10().ceil()))
}

fn write(path: &Path, svg: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, svg)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display())))
}
