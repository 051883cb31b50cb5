//! The picture: latency percentiles of every scenario, and the rate over what is offered.

use std::error::Error;
use std::io;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::figures::{Extra, Point, Results, Row};
use super::scenario::Delivery;

const SIZE: (u32, u32) = (1_500, 560);
const FONT: (&str, u32) = ("sans-serif", 14);
const CAPTION: (&str, u32) = ("sans-serif", 18);

/// Percentiles p50, p90, p99 and p99.9, as "one delivery in N is slower".
const ONE_IN: [f64; 4] = [2.0, 10.0, 100.0, 1_000.0];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, X, Y> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>;
type Drawn = Result<(), Box<dyn Error>>;

/// A named line.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Draws all charts into an SVG file.
///
/// # Errors
/// One that names the file.
pub fn draw(path: &Path, results: &Results) -> io::Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    let draw = || -> Drawn {
        root.fill(&WHITE)?;
        let [text, stream, curve] = &root.split_evenly((1, 3))[..] else {
            return Err("three charts".into());
        };
        let at_rate: Vec<&Row> = results.rows.iter().filter(|row| is_drawn(row)).collect();
        let of = |delivery| at_rate.iter().filter(move |row| row.delivery == delivery).copied();
        let range = bounds(&at_rate.iter().copied().map(percentiles).collect::<Vec<_>>());
        draw_percentiles(text, "text delivery", range, of(Delivery::Text))?;
        draw_percentiles(stream, "stream delivery", range, of(Delivery::Stream))?;
        draw_curve(curve, &results.curve)?;
        root.present()?;
        Ok(())
    };
    draw().map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

/// Returns true for latencies at a fixed rate. Those of a network that loses are not comparable.
fn is_drawn(row: &Row) -> bool {
    let is_lossy = matches!(row.extra, Some(Extra::Repairs(_)));
    row.mode == "rate" && !row.server.latency.is_empty() && !is_lossy
}

fn percentiles(row: &Row) -> Line {
    let points = ONE_IN.map(|n| (n, value_at(row, 1.0 - 1.0 / n))).into();
    Line { name: row.scenario.into(), points }
}

fn draw_percentiles<'a>(
    area: &Area<'_>,
    delivery: &str,
    (least, most): (f64, f64),
    rows: impl Iterator<Item = &'a Row>,
) -> Drawn {
    let lines: Vec<Line> = rows.map(percentiles).collect();
    // The names stand above the lines.
    let most = most * 10.0;
    let mut chart = ChartBuilder::on(area)
        .caption(format!("latency at a fixed rate, {delivery}"), CAPTION)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d((2.0..1_000.0).log_scale(), (least..most).log_scale())?;
    chart
        .configure_mesh()
        .x_label_formatter(&whole)
        .y_label_formatter(&whole)
        .x_desc("one delivery in so many is slower")
        .y_desc("microseconds from when it was due")
        .label_style(FONT)
        .draw()?;
    draw_lines(&mut chart, &lines)
}

fn draw_lines<'a, X, Y>(chart: &mut Chart<'a, X, Y>, lines: &[Line]) -> Drawn
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    for (index, line) in lines.iter().enumerate() {
        let colour = Palette99::pick(index).stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), colour))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour));
    }
    chart
        .configure_series_labels()
        // No line of any chart reaches that corner.
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(FONT)
        .background_style(WHITE)
        .draw()?;
    Ok(())
}

fn value_at(row: &Row, quantile: f64) -> f64 {
    row.server.latency.value_at_quantile(quantile) as f64
}

fn draw_curve(area: &Area<'_>, curve: &[Point]) -> Drawn {
    let lines: Vec<Line> = ["server", "relay_send_to"]
        .into_iter()
        .map(|name| {
            let of_target = curve.iter().filter(|point| point.target == name);
            let points = of_target.map(|point| (point.offered, point.delivered)).collect();
            Line { name: name.into(), points }
        })
        .collect();
    let most_offered = curve.iter().map(|point| point.offered).fold(1.0, f64::max);
    let (_, most) = bounds(&lines);
    let mut chart = ChartBuilder::on(area)
        .caption("deliveries a second over what is offered", CAPTION)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(90)
        .build_cartesian_2d(0.0..most_offered, 0.0..most)?;
    chart
        .configure_mesh()
        .x_desc("offered")
        .y_desc("delivered")
        .x_label_formatter(&whole)
        .y_label_formatter(&whole)
        .x_labels(5)
        .label_style(FONT)
        .draw()?;
    draw_lines(&mut chart, &lines)
}

fn whole(value: &f64) -> String {
    format!("{value:.0}")
}

/// Returns the minimum and the maximum of all values, with some room around them.
fn bounds(lines: &[Line]) -> (f64, f64) {
    let values = || lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y);
    let most = values().fold(1.0, f64::max);
    (values().fold(most, f64::min).max(1.0) / 1.5, most * 1.5)
}
