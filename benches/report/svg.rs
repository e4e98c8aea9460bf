//! Bars and lines as SVG, with nothing but text.

use std::fmt::Write as _;

use crate::figures::short;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 56.0;
const RIGHT: f64 = 16.0;
const BOTTOM: f64 = 44.0;
/// Raw TCP, others, P2 last: the strong one.
const COLOURS: [&str; 5] = ["#9aa5b1", "#e0a458", "#6b9080", "#c1666b", "#2f5d8a"];

/// What a plot shows, and in what.
pub(crate) struct Title<'a> {
    pub(crate) text: &'a str,
    pub(crate) unit: &'a str,
}

/// Groups of bars, one bar for each series. `log`: each decade takes as much room as the next.
pub(crate) fn bars(
    title: &Title<'_>,
    groups: &[String],
    series: &[(&str, Vec<Option<f64>>)],
    log: bool,
) -> String {
    let values = series.iter().flat_map(|(_, values)| values.iter().flatten().copied());
    let axis = Axis::over(values, log);
    let mut svg = frame(title, &axis);
    let wide = (WIDTH - LEFT - RIGHT) / groups.len().max(1) as f64;
    let bar = wide * 0.8 / series.len().max(1) as f64;
    for (group, name) in groups.iter().enumerate() {
        let from = LEFT + wide * (group as f64 + 0.1);
        for (at, (_, values)) in series.iter().enumerate() {
            let Some(value) = values.get(group).copied().flatten() else { continue };
            let (x, y) = (from + bar * at as f64, axis.y(value));
            let height = HEIGHT - BOTTOM - y;
            let colour = colour(at, series.len());
            let _ = writeln!(
                svg,
                r#"<rect x="{x:.1}" y="{y:.1}" width="{:.1}" height="{height:.1}" fill="{colour}"/>"#,
                bar - 2.0
            );
            text(&mut svg, x + bar / 2.0 - 1.0, y - 4.0, "middle", 10, &short(value));
        }
        text(&mut svg, from + wide * 0.4, HEIGHT - BOTTOM + 18.0, "middle", 12, name);
    }
    legend(&mut svg, series.iter().map(|(name, _)| *name));
    svg + "</svg>\n"
}

/// One line for each series. `log`: of the horizontal axis.
pub(crate) fn lines(
    title: &Title<'_>,
    below: &str,
    series: &[(&str, Vec<(f64, f64)>)],
    log: bool,
) -> String {
    let points = || series.iter().flat_map(|(_, points)| points.iter().copied());
    let axis = Axis::over(points().map(|(_, y)| y), false);
    let along = |x: f64| if log { x.max(1e-9).log10() } else { x };
    let from = points().map(|(x, _)| along(x)).fold(f64::INFINITY, f64::min);
    let to = points().map(|(x, _)| along(x)).fold(f64::NEG_INFINITY, f64::max);
    let place = |x: f64| {
        LEFT + 8.0 + (along(x) - from) / (to - from).max(1e-9) * (WIDTH - LEFT - RIGHT - 16.0)
    };
    let mut svg = frame(title, &axis);
    for (at, (_, points)) in series.iter().enumerate() {
        let path: Vec<String> =
            points.iter().map(|(x, y)| format!("{:.1},{:.1}", place(*x), axis.y(*y))).collect();
        let _ = writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{}" stroke-width="2"/>"#,
            path.join(" "),
            colour(at, series.len())
        );
    }
    let mut marks: Vec<f64> = if log {
        points().map(|(x, _)| x).collect()
    } else {
        (from.ceil() as i64..=to.floor() as i64).map(|x| x as f64).collect()
    };
    marks.sort_unstable_by(f64::total_cmp);
    marks.dedup();
    for mark in marks {
        text(&mut svg, place(mark), HEIGHT - BOTTOM + 16.0, "middle", 11, &whole(mark));
    }
    text(&mut svg, WIDTH / 2.0, HEIGHT - 8.0, "middle", 12, below);
    legend(&mut svg, series.iter().map(|(name, _)| *name));
    svg + "</svg>\n"
}

fn whole(value: f64) -> String {
    if value >= 0.0 { crate::figures::thousands(value.round() as u64) } else { short(value) }
}

/// The vertical axis.
struct Axis {
    from: f64,
    to: f64,
    log: bool,
    marks: Vec<f64>,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let most = values.iter().copied().fold(0.0, f64::max).max(1e-9);
        if log {
            let least = values.iter().copied().filter(|v| *v > 0.0).fold(most, f64::min);
            let (from, to) = (least.log10().floor() as i32, most.log10().ceil() as i32);
            let marks = (from..=to.max(from + 1)).map(|power| 10_f64.powi(power)).collect();
            return Self { from: f64::from(from), to: f64::from(to.max(from + 1)), log, marks };
        }
        let rough = most / 4.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * power);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let count = (most / step).ceil().max(1.0);
        let marks = (0..=count as u32).map(|mark| f64::from(mark) * step).collect();
        Self { from: 0.0, to: count * step, log, marks }
    }

    fn y(&self, value: f64) -> f64 {
        let value = if self.log { value.max(1e-9).log10() } else { value };
        let share = ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
    }
}

fn frame(title: &Title<'_>, axis: &Axis) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" role=\"img\">\n<title>{}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n",
        escape(title.text)
    );
    text(&mut svg, LEFT, 20.0, "start", 14, &format!("{} ({})", title.text, title.unit));
    for mark in &axis.marks {
        let y = axis.y(*mark);
        let to = WIDTH - RIGHT;
        let _ = writeln!(
            svg,
            r##"<line x1="{LEFT}" y1="{y:.1}" x2="{to}" y2="{y:.1}" stroke="#e3e7eb"/>"##
        );
        let name = if *mark == 0.0 { "0".to_owned() } else { trimmed(*mark) };
        text(&mut svg, LEFT - 6.0, y + 4.0, "end", 11, &name);
    }
    svg
}

/// Without zeros at the end.
fn trimmed(value: f64) -> String {
    let name = short(value);
    match name.contains('.') {
        true => name.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => name,
    }
}

fn legend<'a>(svg: &mut String, names: impl ExactSizeIterator<Item = &'a str>) {
    let (mut x, count) = (LEFT, names.len());
    for (at, name) in names.enumerate() {
        let colour = colour(at, count);
        let _ =
            writeln!(svg, r#"<rect x="{x:.1}" y="30" width="10" height="10" fill="{colour}"/>"#);
        text(svg, x + 14.0, 39.0, "start", 12, name);
        x += 34.0 + 7.0 * name.chars().count() as f64;
    }
}

fn colour(at: usize, of: usize) -> &'static str {
    if at + 1 == of { COLOURS[4] } else { COLOURS[at % 4] }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, size: u32, words: &str) {
    let words = escape(words);
    let _ = writeln!(
        svg,
        r##"<text x="{x:.1}" y="{y:.1}" font-size="{size}" fill="#2b3440" text-anchor="{anchor}">{words}</text>"##
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
