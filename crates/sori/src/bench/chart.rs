//! Bars: in the terminal, and as a picture.

use std::fmt::Write as _;

/// The longest bar, in characters.
const BAR_WIDTH: f64 = 50.0;
/// Units of the picture.
const WIDTH: f64 = 800.0;
const ROW: f64 = 24.0;
const LABEL: f64 = 120.0;
const NUMBER: f64 = 120.0;

/// One bar for each step.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) title: String,
    /// Label and value of each bar; values are not negative.
    pub(super) bars: Vec<(String, f64)>,
}

impl Chart {
    fn longest(&self) -> f64 {
        // Without any value there is nothing to divide by.
        self.bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max)
    }

    /// One line for each bar.
    pub(super) fn terminal(&self) -> String {
        let label_width = self.bars.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
        let mut text = format!("{}\n", self.title);
        for (label, value) in &self.bars {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 50")]
            let length = (value / self.longest() * BAR_WIDTH).round() as usize;
            text.push_str(&format!("{label:>label_width$} {} {value:.0}\n", "█".repeat(length)));
        }
        text
    }

    /// The same as SVG, with no script and no font of its own.
    pub(super) fn svg(&self) -> String {
        let rows = self.bars.iter().scan(ROW, |y, bar| {
            *y += ROW;
            Some((*y, bar))
        });
        let mut body = String::new();
        let mut bottom = ROW;
        for (y, (label, value)) in rows {
            let (length, label) = (value / self.longest() * (WIDTH - LABEL - NUMBER), escaped(label));
            // Writing to a string cannot fail.
            let _ = writeln!(
                body,
                "<text x=\"{x:.0}\" y=\"{base:.0}\" text-anchor=\"end\">{label}</text>\
                 <rect x=\"{LABEL}\" y=\"{top:.0}\" width=\"{length:.1}\" height=\"{height:.0}\" fill=\"#3b7ea1\"/>\
                 <text x=\"{end:.1}\" y=\"{base:.0}\">{value:.0}</text>",
                x = LABEL - 8.0,
                base = y + ROW * 0.7,
                top = y + 2.0,
                height = ROW - 4.0,
                end = LABEL + length + 8.0,
            );
            bottom = y + ROW;
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
             font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"8\" y=\"20\" \
             font-weight=\"bold\">{title}</text>\n{body}</svg>\n",
            height = bottom + ROW / 2.0,
            title = escaped(&self.title)
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64]) -> Chart {
        let bars = values.iter().enumerate().map(|(at, value)| (format!("{at} s"), *value)).collect();
        Chart { title: "a < b & c".to_owned(), bars }
    }

    #[test]
    fn the_longest_bar_has_the_whole_width() {
        let text = chart(&[50.0, 100.0, 0.0]).terminal();
        let expected = format!("a < b & c\n0 s {} 50\n1 s {} 100\n2 s  0\n", "█".repeat(25), "█".repeat(50));
        assert_eq!(text, expected);
        assert_eq!(chart(&[0.0]).terminal(), "a < b & c\n0 s  0\n");
        assert_eq!(chart(&[]).terminal(), "a < b & c\n");
    }

    #[test]
    fn a_picture_has_a_rectangle_for_each_bar() {
        let svg = chart(&[1.0, 2.0]).svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(svg.contains("a &lt; b &amp; c") && svg.contains("width=\"560.0\""), "{svg}");
        assert_eq!(svg.matches("fill=\"#3b7ea1\"").count(), 2, "{svg}");
        assert!(!svg.contains("NaN") && !chart(&[0.0]).svg().contains("NaN"));
    }
}
