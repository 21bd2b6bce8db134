//! A picture of a trace: how much each cache hits, over its size.
//!
//! The sizes stand as far apart as their logarithms, each with a line and a label of its own. Text
//! is left to whoever shows the picture, so it holds no fonts, and no date: the same figures give
//! the same file.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Loaded;
use super::figures::{EXACT_LRU, Figures, OPTIMUM};
use super::report::share;
use crate::text;

type Area<'p> = DrawingArea<SVGBackend<'p>, Shift>;
type Chart<'p> = ChartContext<'p, SVGBackend<'p>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

const WIDTH: u32 = 860;
const HEIGHT: u32 = 520;
const LEGEND: i32 = 140;

/// How a line is drawn. The engine's policies are solid, its peers dashed, the yardsticks dotted.
struct Pen {
    subject: &'static str,
    color: RGBColor,
    width: u32,
    /// Length of a dash and of a gap, in pixels.
    dash: Option<(i32, i32)>,
}

const fn pen(subject: &'static str, color: (u8, u8, u8), dash: Option<(i32, i32)>) -> Pen {
    let width = if dash.is_some() { 2 } else { 3 };
    Pen { subject, color: RGBColor(color.0, color.1, color.2), width, dash }
}

/// In the order of the legend, and the last drawn on top. Colours that the colour-blind can tell
/// apart (Okabe and Ito, 2008).
const PENS: [Pen; 10] = [
    pen(OPTIMUM, (0, 0, 0), Some((2, 4))),
    pen("tinylfu", (0, 114, 178), None),
    pen("s3fifo", (213, 94, 0), None),
    pen("lru", (0, 158, 115), None),
    pen("lfu", (204, 121, 167), None),
    pen("random", (230, 159, 0), None),
    pen("ttl", (86, 180, 233), None),
    pen("moka", (60, 60, 60), Some((10, 5))),
    pen("quick_cache", (130, 130, 130), Some((10, 5))),
    pen(EXACT_LRU, (0, 70, 50), Some((2, 4))),
];

/// The picture, as SVG.
///
/// # Errors
/// If the plotter refuses.
pub fn draw(loaded: &Loaded, figures: &Figures) -> Result<String> {
    let mut picture = String::new();
    {
        let root = SVGBackend::with_string(&mut picture, (WIDTH, HEIGHT)).into_drawing_area();
        fill(&root, loaded, figures).map_err(|error| anyhow!("cannot draw: {error}"))?;
    }
    Ok(picture)
}

/// The plotter's own error names the backend, and is turned into text by the caller.
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn fill(root: &Area<'_>, loaded: &Loaded, figures: &Figures) -> Drawn {
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(WIDTH as i32 - LEGEND);
    let places: Vec<f64> = loaded.sizes.iter().map(|&size| (size as f64).log10()).collect();
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return Ok(()) };
    let margin = ((last - first) * 0.02).max(0.01);
    let mut chart = ChartBuilder::on(&left)
        .margin(12)
        .margin_bottom(60)
        .caption(caption(loaded), ("sans-serif", 18))
        .y_label_area_size(48)
        .build_cartesian_2d(first - margin..last + margin, 0.0..ceiling(loaded, figures))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .y_labels(11)
        .y_label_formatter(&|percent| format!("{percent:.0} %"))
        .label_style(("sans-serif", 13))
        .draw()?;
    sizes(&left, &mut chart, loaded, &places)?;
    let shown = PENS.iter().filter(|pen| figures.of(pen.subject).next().is_some());
    for (row, pen) in shown.enumerate() {
        line(&mut chart, pen, loaded, figures)?;
        legend(&right, pen, row as i32)?;
    }
    root.present()?;
    Ok(())
}

fn caption(loaded: &Loaded) -> String {
    format!("{}: accesses that hit, by the entries of the cache", loaded.source.name)
}

/// The next tenth above everything that is shown.
fn ceiling(loaded: &Loaded, figures: &Figures) -> f64 {
    let of_trace = PENS.iter().flat_map(|pen| figures.of(pen.subject));
    let of_trace = of_trace.filter(|point| point.trace == loaded.source.name);
    let highest = of_trace.map(|point| point.percent).fold(0.0, f64::max);
    ((highest / 10.0).floor() * 10.0 + 10.0).min(100.0)
}

/// A line and labels for each size: the entries, and under them the share of the keys.
fn sizes(area: &Area<'_>, chart: &mut Chart<'_>, loaded: &Loaded, places: &[f64]) -> Drawn {
    let top = chart.y_range().end;
    let grid = RGBColor(225, 225, 225);
    for (&place, &size) in places.iter().zip(&loaded.sizes) {
        chart.draw_series([PathElement::new([(place, 0.0), (place, top)], grid)])?;
        let (x, y) = chart.backend_coord(&(place, 0.0));
        // A size that was asked for by name stands close to another one: its labels go lower.
        let lower = if loaded.source.more_sizes.contains(&size) { 28 } else { 0 };
        let style = centred(13);
        area.draw_text(&text::count(size), &style, (x, y + 8 + lower))?;
        if lower == 0 {
            let share = format!("{} %", share(size, loaded.trace.distinct));
            area.draw_text(&share, &style.color(&RGBColor(110, 110, 110)), (x, y + 24))?;
        }
    }
    let middle = (chart.plotting_area().get_x_axis_pixel_range().end
        + chart.plotting_area().get_x_axis_pixel_range().start)
        / 2;
    let bottom = chart.plotting_area().get_y_axis_pixel_range().end;
    area.draw_text("entries, and their share of all keys", &centred(13), (middle, bottom + 44))?;
    Ok(())
}

fn centred(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_text_style(&(WIDTH, HEIGHT)).pos(Pos::new(HPos::Center, VPos::Top))
}

fn line(chart: &mut Chart<'_>, pen: &Pen, loaded: &Loaded, figures: &Figures) -> Drawn {
    let points: Vec<(f64, f64)> = figures
        .of(pen.subject)
        .filter(|point| point.trace == loaded.source.name)
        .map(|point| ((point.size as f64).log10(), point.percent))
        .collect();
    let style = pen.color.stroke_width(pen.width);
    match pen.dash {
        Some((dash, gap)) => {
            chart.draw_series(DashedLineSeries::new(points, dash, gap, style))?;
        }
        None => {
            chart.draw_series(LineSeries::new(points, style))?;
        }
    }
    Ok(())
}

fn legend(area: &Area<'_>, pen: &Pen, row: i32) -> Drawn {
    let y = 50 + row * 24;
    let style = pen.color.stroke_width(pen.width);
    let ends = [(0, y), (30, y)];
    match pen.dash {
        Some((dash, gap)) => area.draw(&DashedPathElement::new(ends, dash, gap, style))?,
        None => area.draw(&PathElement::new(ends, style))?,
    }
    let text = ("sans-serif", 14).into_text_style(&(WIDTH, HEIGHT));
    area.draw_text(pen.subject, &text.pos(Pos::new(HPos::Left, VPos::Center)), (38, y))?;
    Ok(())
}
