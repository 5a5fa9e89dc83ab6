//! Plots of a survey as SVG, drawn by plotters.

use plotters::prelude::*;

use crate::survey::{Estimate, Group};

const SIZE: (u32, u32) = (640, 320);

/// Bins of a histogram of shares.
const BINS: usize = 20;

/// How often each share from 0 to 1 comes, with a line where `expected` is.
pub fn histogram(title: &str, axis: &str, values: &[f64], expected: Option<f64>) -> Option<String> {
    let mut counts = [0usize; BINS];
    for value in values {
        let bin = ((value * BINS as f64) as usize).min(BINS - 1);
        counts[bin] += 1;
    }
    let most = counts.iter().copied().max().filter(|most| *most > 0)? as f64;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(50)
            .build_cartesian_2d(0f64..1f64, 0f64..most * 1.05)
            .ok()?;
        let mesh = &mut chart.configure_mesh();
        mesh.disable_x_mesh()
            .max_light_lines(1)
            .x_desc(axis)
            .y_desc("pictures")
            .draw()
            .ok()?;
        let width = 1.0 / BINS as f64;
        let bars = counts.iter().enumerate().map(|(bin, &count)| {
            let left = bin as f64 * width;
            Rectangle::new(
                [(left, 0.0), (left + 0.9 * width, count as f64)],
                BLUE.mix(0.6).filled(),
            )
        });
        chart.draw_series(bars).ok()?;
        if let Some(at) = expected {
            let line = PathElement::new([(at, 0.0), (at, most * 1.05)], RED.stroke_width(2));
            chart.draw_series([line]).ok()?;
        }
        area.present().ok()?;
    }
    Some(svg)
}

/// A number of each group with its interval.
pub fn bars(
    title: &str,
    axis: &str,
    groups: &[&Group],
    number: fn(&Group) -> Option<Estimate>,
) -> Option<String> {
    let known: Vec<(&str, Estimate)> = groups
        .iter()
        .filter_map(|group| Some((group.name.as_str(), number(group)?)))
        .collect();
    if known.is_empty() {
        return None;
    }
    let mut svg = String::new();
    {
        let height = 90 + 34 * known.len() as u32;
        let area = SVGBackend::with_string(&mut svg, (SIZE.0, height)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(150)
            .build_cartesian_2d(0f64..1f64, (0..known.len()).into_segmented())
            .ok()?;
        let name = |at: &SegmentValue<usize>| match at {
            SegmentValue::CenterOf(at) => known
                .get(*at)
                .map_or("", |(name, _)| *name)
                .chars()
                .take(20)
                .collect(),
            _ => String::new(),
        };
        let mesh = &mut chart.configure_mesh();
        mesh.disable_y_mesh()
            .max_light_lines(1)
            .x_desc(axis)
            .y_labels(known.len())
            .y_label_formatter(&name)
            .draw()
            .ok()?;
        let dots = known.iter().enumerate().map(|(at, (_, estimate))| {
            Circle::new(
                (estimate.value, SegmentValue::CenterOf(at)),
                5,
                BLUE.filled(),
            )
        });
        chart.draw_series(dots).ok()?;
        let lines = known.iter().enumerate().filter_map(|(at, (_, estimate))| {
            let (low, high) = estimate.interval?;
            let place = SegmentValue::CenterOf(at);
            Some(PathElement::new(
                [(low, place.clone()), (high, place)],
                BLUE.stroke_width(2),
            ))
        });
        chart.draw_series(lines).ok()?;
        area.present().ok()?;
    }
    Some(svg)
}
