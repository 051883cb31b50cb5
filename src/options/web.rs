//! The options about browsers.

use getopts::Matches;

use super::UsageError;
use super::values::choice;
use crate::authority::{Host, Origin};
use crate::config::{TlsMode, WebConfig};
use crate::network::Network;

const ON_OFF: [(&str, bool); 2] = [("on", true), ("off", false)];

/// Parses the settings of the pages and of members in browsers. QUIC has no form without TLS.
pub(super) fn web_config(matches: &Matches, tls: TlsMode) -> Result<WebConfig, UsageError> {
    let default = WebConfig::default();
    let http = switch(matches, "web", default.http)?;
    let has_tls = tls != TlsMode::Off;
    let webtransport = switch(matches, "webtransport", default.webtransport)?;
    if webtransport == Some(true) && !has_tls {
        return Err(UsageError("--webtransport on needs TLS, which --tls off disables".into()));
    }
    Ok(WebConfig {
        http: http.unwrap_or(default.http),
        webtransport: webtransport.unwrap_or(default.webtransport && has_tls),
        allow_host: values(matches, "allow-host", "a host name, without a port", |name| {
            Host::parse(&name).is_some().then_some(name)
        })?,
        allow_origin: values(
            matches,
            "allow-origin",
            "such as https://chat.example.org",
            |origin| Origin::parse(&origin).is_some().then_some(origin),
        )?,
        status_from: values(matches, "status-from", "a network, such as 10.0.0.0/8", |network| {
            network.parse::<Network>().ok()
        })?,
    })
}

/// Parses `on` and `off`. A build without the cargo feature of this name has no other than `off`.
fn switch(
    matches: &Matches,
    name: &'static str,
    is_built: bool,
) -> Result<Option<bool>, UsageError> {
    let wanted = choice(matches, name, ON_OFF)?;
    match wanted {
        Some(true) if !is_built => {
            Err(UsageError(format!("--{name} on: this build lacks it (cargo feature {name})")))
        }
        wanted => Ok(wanted),
    }
}

fn values<T>(
    matches: &Matches,
    name: &str,
    form: &str,
    parse: impl Fn(String) -> Option<T>,
) -> Result<Vec<T>, UsageError> {
    let parse = |text: String| {
        let error = UsageError(format!("--{name} must be {form}, not '{text}'"));
        parse(text).ok_or(error)
    };
    matches.opt_strs(name).into_iter().map(parse).collect()
}
