//! chromedriver as a child process, and its protocol: WebDriver (a W3C recommendation), JSON over HTTP/1.1.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{DEADLINE, lines_of, wait_for};

/// Longest wait for an answer. The start of a browser on a busy machine takes the longest.
const PATIENCE: Duration = Duration::from_secs(60);

/// The line that names the port.
const STARTED: &str = "ChromeDriver was started successfully on port ";

/// A running chromedriver. It and its browsers are killed when it is dropped.
pub struct Driver {
    child: Child,
    connection: BufReader<TcpStream>,
}

impl Driver {
    /// Starts chromedriver on a free port. It and its browsers leave their files in `folder`. Fails if it is
    /// not installed.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .env("TMPDIR", folder)
            // Its browsers are in its process group, so one signal ends them all.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = lines_of(child.stdout.take().expect("piped"));
        let port = std::iter::from_fn(|| out.recv_timeout(DEADLINE).ok())
            .find_map(|line| line.strip_prefix(STARTED)?.trim_end_matches('.').parse().ok())
            .ok_or_else(|| io::Error::other("chromedriver names no port"))
            .and_then(|port: u16| TcpStream::connect(("127.0.0.1", port)));
        let connection = port.inspect_err(|_| end(&mut child))?;
        connection.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { child, connection: BufReader::new(connection) })
    }

    /// Calls the driver. Fails with its message.
    pub fn call(&mut self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let size = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}");
        let request = format!("{head}\r\n\r\n{body}");
        self.connection
            .get_mut()
            .write_all(request.as_bytes())
            .map_err(|error| error.to_string())?;
        let (is_ok, answer) =
            self.receive().map_err(|error| format!("{method} {path}: {error}"))?;
        let mut answer: Value = serde_json::from_slice(&answer).expect("JSON");
        let value = answer["value"].take();
        match is_ok {
            true => Ok(value),
            false => Err(format!("{}: {}", value["error"], value["message"])),
        }
    }

    /// Reads a response. Returns true if its status is 200, and its body.
    fn receive(&mut self) -> io::Result<(bool, Vec<u8>)> {
        let mut line = String::new();
        self.connection.read_line(&mut line)?;
        let is_ok = line.split(' ').nth(1) == Some("200");
        let mut size = 0;
        while !line.trim_end().is_empty() {
            line.clear();
            self.connection.read_line(&mut line)?;
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                size = value.trim().parse().expect("a size");
            }
        }
        let mut body = vec![0; size];
        self.connection.read_exact(&mut body)?;
        Ok((is_ok, body))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Kills the process group of chromedriver, and waits until nothing of it runs.
fn end(child: &mut Child) {
    let group = child.id();
    let kill = ["-s", "KILL", "--", &format!("-{group}")].map(String::from);
    // If all have ended, kill(1) fails.
    let _ = Command::new("kill").args(kill).stderr(Stdio::null()).status();
    let _ = child.wait();
    wait_for("the browser to end", || (!group_runs(group)).then_some(()));
}

/// Returns true if a process of this group runs. One that waits for its parent to notice its end does not
/// run: state Z or X, proc(5).
fn group_runs(group: u32) -> bool {
    let processes = fs::read_dir("/proc").expect("proc(5)").map_while(Result::ok);
    let stats = processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let mut states = stats.filter_map(|stat| {
        let mut fields = stat.rsplit(')').next()?.split_whitespace();
        let (state, of_group) = (fields.next()?.to_string(), fields.nth(1)?.to_string());
        (of_group == group.to_string()).then_some(state)
    });
    states.any(|state| state != "Z" && state != "X")
}
