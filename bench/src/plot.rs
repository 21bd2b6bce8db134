//! Plots as SVG: bars in groups, and lines. No fonts are read: whoever shows a picture sets its text.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

const SIZE: (u32, u32) = (960, 440);
/// Room under the plot for the names of the series.
const LEGEND: i32 = 40;
/// A palette that also those tell apart who see few colours (Okabe and Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(120, 120, 120),
    RGBColor(0, 0, 0),
];

/// What stands around a plot.
pub struct Frame<'t> {
    /// Above it.
    pub title: &'t str,
    /// Beside it: what the numbers are.
    pub values: &'t str,
    /// Whether equal distances are equal ratios.
    pub logarithmic: bool,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A group of bars for each row: its name, and a number for each series.
pub fn bars(
    path: &Path,
    frame: &Frame<'_>,
    series: &[&str],
    groups: &[(String, Vec<f64>)],
) -> Result<()> {
    let (area, plot) = start(path, series)?;
    let bottom = floor(frame, groups.iter().flat_map(|group| &group.1));
    let top = 1.1 * largest(groups.iter().flat_map(|group| &group.1));
    let names: Vec<&str> = groups.iter().map(|group| group.0.as_str()).collect();
    let shown = |at: f64| if frame.logarithmic { at.max(bottom).log10() } else { at };
    let mut chart = ChartBuilder::on(&plot)
        .caption(frame.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..groups.len() as f64, shown(bottom)..shown(top))
        .map_err(failed)?;
    let value = |at: &f64| number(if frame.logarithmic { 10f64.powf(*at) } else { *at });
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .light_line_style(WHITE)
        .y_desc(frame.values)
        .y_label_formatter(&value)
        .label_style(("sans-serif", 14))
        .draw()
        .map_err(failed)?;
    let width = 0.84 / series.len() as f64;
    for (at, (_, values)) in groups.iter().enumerate() {
        for (place, value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            let left = at as f64 + 0.08 + place as f64 * width;
            let corners = [(left, shown(bottom)), (left + 0.9 * width, shown(*value))];
            let bar = Rectangle::new(corners, COLOURS[place % COLOURS.len()].filled());
            chart.draw_series([bar]).map_err(failed)?;
        }
    }
    let (across, down) = (chart.plotting_area().get_x_axis_pixel_range(), plot.dim_in_pixel().1);
    let step = f64::from(across.end - across.start) / groups.len() as f64;
    for (at, name) in names.iter().enumerate() {
        let middle = f64::from(across.start) + (at as f64 + 0.5) * step;
        label(&plot, name, middle as i32 - 7 * name.len() as i32 / 2, down as i32 - 30)?;
    }
    area.present().map_err(failed)
}

/// A line for each series through its points.
pub fn lines(
    path: &Path,
    frame: &Frame<'_>,
    across: &str,
    series: &[(&str, Vec<(f64, f64)>)],
) -> Result<()> {
    let names: Vec<&str> = series.iter().map(|line| line.0).collect();
    let (area, plot) = start(path, &names)?;
    let points = || series.iter().flat_map(|line| &line.1);
    let end = largest(points().map(|point| &point.0));
    let top = 1.1 * largest(points().map(|point| &point.1));
    let mut chart = ChartBuilder::on(&plot)
        .caption(frame.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..end, 0.0..top)
        .map_err(failed)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(across)
        .y_desc(frame.values)
        .x_label_formatter(&|at| number(*at))
        .y_label_formatter(&|at| number(*at))
        .label_style(("sans-serif", 14))
        .draw()
        .map_err(failed)?;
    for (place, (_, points)) in series.iter().enumerate() {
        let style = COLOURS[place % COLOURS.len()].stroke_width(2);
        chart.draw_series(LineSeries::new(points.iter().copied(), style)).map_err(failed)?;
    }
    area.present().map_err(failed)
}

/// A white picture with the names of the series at its foot, and the area above them.
fn start<'a>(path: &'a Path, series: &[&str]) -> Result<(Area<'a>, Area<'a>)> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(failed)?;
    let (plot, foot) = area.split_vertically(SIZE.1 as i32 - LEGEND);
    let mut left = 76;
    for (place, name) in series.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()].filled();
        let square = Rectangle::new([(left, 10), (left + 12, 22)], colour);
        foot.draw(&square).map_err(failed)?;
        label(&foot, name, left + 17, 9)?;
        left += 38 + 8 * name.len() as i32;
    }
    Ok((area, plot))
}

fn label(area: &Area<'_>, text: &str, left: i32, top: i32) -> Result<()> {
    let style = ("sans-serif", 14).into_font().color(&BLACK);
    area.draw(&Text::new(text.to_owned(), (left, top), style)).map_err(failed)
}

fn largest<'v>(values: impl Iterator<Item = &'v f64>) -> f64 {
    values.copied().filter(|value| value.is_finite()).fold(f64::MIN_POSITIVE, f64::max)
}

/// Where the axis begins: at nothing, or a little under the smallest number.
fn floor<'v>(frame: &Frame<'_>, values: impl Iterator<Item = &'v f64>) -> f64 {
    if !frame.logarithmic {
        return 0.0;
    }
    let positive = values.copied().filter(|value| value.is_finite() && *value > 0.0);
    let smallest = positive.fold(f64::INFINITY, f64::min);
    if smallest.is_finite() { smallest / 1.5 } else { 0.1 }
}

fn number(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.1}M", value / 1e6),
        value if value >= 1e4 => format!("{:.0}k", value / 1e3),
        value if value >= 10.0 || value == 0.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw a plot: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_are_drawn() {
        let folder = std::env::temp_dir().join(format!("kvbench-plots-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("plot.svg");
        for logarithmic in [false, true] {
            let frame = Frame { title: "title", values: "values", logarithmic };
            let groups = [("one".to_owned(), vec![1.0, 20.0, f64::NAN])];
            bars(&path, &frame, &["a", "b", "c"], &groups).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains("title") && text.contains("one"), "{text}");
            lines(&path, &frame, "time", &[("a", vec![(0.0, 1.0), (1.0, 2.0)])]).unwrap();
            assert!(std::fs::read_to_string(&path).unwrap().contains("polyline"));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
