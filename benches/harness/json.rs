//! Rows of the table as JSON.

use std::fs;
use std::io;
use std::path::Path;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::figures::{Basis, Extra, Figure, Row, Spread};
use super::flood;
use super::loss::Repairs;
use super::sockets::Costs;

/// Writes a list of rows.
///
/// # Errors
/// One that names the file.
pub fn write_rows(path: &Path, rows: &[Row]) -> io::Result<()> {
    let rows: Vec<Value> = rows.iter().map(row_json).collect();
    let text = serde_json::to_string_pretty(&rows)? + "\n";
    write(path, &text)
}

/// Writes a file.
///
/// # Errors
/// One that names it.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

fn row_json(row: &Row) -> Value {
    let mut value = figure_json(&row.server);
    let us = |figure: &Figure| figure.us.as_ref().map(|us| us.median);
    value["scenario"] = row.scenario.into();
    value["delivery"] = row.delivery.word().into();
    value["mode"] = row.mode.into();
    value["server_us"] = us(&row.server).into();
    value["floor_us"] = row.floors.first().and_then(|(_, floor)| us(floor)).into();
    value["ratio"] = row.ratio(&row.server).into();
    value["ratio_of"] = if row.basis == Basis::Rate { "rate" } else { "cost" }.into();
    let floors = row.floors.iter().map(|(name, floor)| (String::from(*name), figure_json(floor)));
    value["floors"] = Value::Object(floors.collect());
    match &row.extra {
        Some(Extra::Quiet(quiet)) => {
            value["bytes_per_member"] = quiet.bytes_per_member.into();
            value["cpu_percent"] = quiet.cpu_percent.into();
        }
        Some(Extra::Repairs(repairs)) => value["repairs"] = repairs_json(repairs),
        Some(Extra::Flood(outcome)) => {
            let side_json = |side, figure| side_json(outcome.unit, side, figure);
            value["flood"] = side_json(&outcome.with, &row.server);
            let calm = row.floors.first().map(|(_, figure)| side_json(&outcome.without, figure));
            value["without_flood"] = calm.into();
        }
        Some(Extra::Sockets(costs)) => value["sockets"] = costs_json(costs),
        None => {}
    }
    value
}

fn costs_json(costs: &Costs) -> Value {
    let median = |of: &Vec<f64>| Spread::of(of.iter().copied()).map(|spread| spread.median);
    let kinds = costs.kinds.iter().map(|kind| {
        let (one_by_one, several) = (median(&kind.one_by_one), median(&kind.several));
        json!({ "kind": kind.name, "one_by_one_us": one_by_one, "several_us": several })
    });
    json!({ "kinds": kinds.collect::<Vec<_>>(), "spins_per_s": median(&costs.spins_per_s) })
}

fn repairs_json(repairs: &Repairs) -> Value {
    let us = |of: &Histogram<u64>, quantile| of.value_at_quantile(quantile);
    json!({
        "repaired": repairs.repaired,
        "gone": repairs.gone,
        "p50_us": us(&repairs.times, 0.5),
        "p99_us": us(&repairs.times, 0.99),
        "rtt_us": us(&repairs.rtts, 0.5),
        "sent_again": repairs.sent_again,
        "datagrams_a_message": {
            "to_members": repairs.with_loss.to_members,
            "to_members_without_loss": repairs.without_loss.to_members,
            "to_server": repairs.with_loss.to_server,
            "to_server_without_loss": repairs.without_loss.to_server,
        },
    })
}

fn side_json(unit: &str, side: &flood::Side, figure: &Figure) -> Value {
    let times = |of: &Histogram<u64>| {
        json!({
            "p50_us": of.value_at_quantile(0.5),
            "p99_us": of.value_at_quantile(0.99),
            "most_us": of.max(),
        })
    };
    json!({
        format!("{unit}_per_s"): side.flood_per_s(),
        "cpu_percent": side.cpu_percent(),
        "quiet_rooms": times(&figure.latency),
        "joins": times(&side.joins),
    })
}

fn figure_json(figure: &Figure) -> Value {
    let [p50, p99, p999] = figure.percentiles;
    let us = figure.us.as_ref().map(|us| {
        json!({
            "median": us.median, "min": us.least, "max": us.most,
        })
    });
    json!({
        "in_flight": figure.in_flight,
        "offered": figure.offered,
        "delivered": figure.delivered,
        "lost": figure.lost(),
        "put_off": figure.put_off,
        "deliveries_per_s": figure.per_s.median,
        "us": us,
        "p50_us": p50,
        "p99_us": p99,
        "p999_us": p999,
        "load_percent": 100.0 * figure.load,
    })
}
